// A token service as registries run it: opaque bearer tokens for a scope, for anybody or for one known user.
import { randomUUID } from 'node:crypto';
import { type Exchange, RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type TokenOptions = {
  readonly service?: string;
  /** `null` leaves expires_in out of the answer (the spec then says 60 s). */
  readonly expiresInSeconds?: number | null;
  /** When given, only this user gets a token. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Under which name the token is sent. */
  readonly field?: 'token' | 'access_token';
};

type Grant = { readonly scopes: readonly string[]; readonly expiresAt: number };

export class FakeTokenServer implements AsyncDisposable {
  readonly server: RecordedServer;
  readonly service: string;
  readonly #grants = new Map<string, Grant>();

  private constructor(server: RecordedServer, service: string) {
    this.server = server;
    this.service = service;
  }

  static async start(options: TokenOptions = {}): Promise<FakeTokenServer> {
    const server = await RecordedServer.start({
      kindOf: () => 'token',
      handle: (exchange) => tokens.#handle(exchange, options),
    });
    const tokens: FakeTokenServer = new FakeTokenServer(server, options.service ?? 'registry.example');
    return tokens;
  }

  get realm(): string {
    return `${this.server.url}/token`;
  }

  get requests() {
    return this.server.requests;
  }

  get faults() {
    return this.server.faults;
  }

  /** How many tokens were handed out. */
  get issued(): number {
    return this.#grants.size;
  }

  challenge(scope: string): string {
    return `Bearer realm="${this.realm}",service="${this.service}",scope="${scope}"`;
  }

  permits(authorization: string | undefined, scope: string): boolean {
    const grant = this.#grants.get(authorization?.replace(/^Bearer /i, '') ?? '');
    return grant !== undefined && grant.expiresAt > Date.now() && grant.scopes.includes(scope);
  }

  /** Every token given so far stops working at once, whatever it was promised. */
  revokeAll(): void {
    for (const [token, grant] of this.#grants) this.#grants.set(token, { ...grant, expiresAt: 0 });
  }

  close(): Promise<void> {
    return this.server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #handle(exchange: Exchange, options: TokenOptions): Promise<void> {
    const { credentials, field = 'token', expiresInSeconds = 300 } = options;
    const headers = { 'content-type': 'application/json' };
    const expected = credentials && basic(credentials.username, credentials.password);
    if (exchange.effect.status === undefined && expected && exchange.request.headers.authorization !== expected) {
      const content = contentOf(JSON.stringify({ details: 'incorrect username or password' }));
      await sendReply(exchange, { status: 401, headers, content });
      return;
    }
    const token = `token-${randomUUID()}`;
    if (exchange.effect.status === undefined) {
      const scopes = exchange.url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
      this.#grants.set(token, { scopes, expiresAt: Date.now() + (expiresInSeconds ?? 60) * 1000 });
    }
    const answer = { [field]: token, ...(expiresInSeconds !== null && { expires_in: expiresInSeconds }) };
    await sendReply(exchange, { headers, content: contentOf(JSON.stringify(answer)) });
  }
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
