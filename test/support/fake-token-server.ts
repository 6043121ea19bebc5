// A token service as registries run it: opaque bearer tokens for a scope, for anybody or for one known user.
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { type Exchange, RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type TokenOptions = {
  readonly service?: string;
  /** What challenges name instead of this server: another address of it, or a path of the registry, which then answers there. */
  readonly realm?: string;
  /** What challenges say instead of the scope that is needed. */
  readonly scope?: string;
  /** `null` leaves expires_in out of the answer (the spec then says 60 s). */
  readonly expiresInSeconds?: number | null;
  /** When given, only this user gets a token. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Who posts this as a refresh token gets a token as well. */
  readonly identityToken?: string;
  /** Under which name the token is sent. */
  readonly field?: 'token' | 'access_token';
};

type Grant = { readonly scopes: readonly string[]; readonly expiresAt: number };

export class FakeTokenServer implements AsyncDisposable {
  readonly server: RecordedServer;
  readonly service: string;
  readonly #options: TokenOptions;
  readonly #grants = new Map<string, Grant>();

  private constructor(server: RecordedServer, options: TokenOptions) {
    this.server = server;
    this.service = options.service ?? 'registry.example';
    this.#options = options;
  }

  static async start(options: TokenOptions = {}): Promise<FakeTokenServer> {
    const server = await RecordedServer.start({
      kindOf: () => 'token',
      handle: (exchange) => tokens.answer(exchange),
    });
    const tokens: FakeTokenServer = new FakeTokenServer(server, options);
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

  /** `host` is the one the registry was asked under. */
  challenge(scope: string, host?: string): string {
    const { realm: told, scope: said = scope } = this.#options;
    const realm = told === undefined ? this.realm : new URL(told, `http://${host}`).href;
    return `Bearer realm="${realm}",service="${this.service}",scope="${said}"`;
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

  /** What was asked of the token server, or of its path on the registry. */
  async answer(exchange: Exchange): Promise<void> {
    const { field = 'token', expiresInSeconds = 300 } = this.#options;
    const headers = { 'content-type': 'application/json' };
    const { searchParams: query } = exchange.url;
    const form = exchange.request.method === 'POST' ? new URLSearchParams(await text(exchange.request)) : query;
    if (exchange.effect.status === undefined && !this.#knows(exchange, form)) {
      const content = contentOf(JSON.stringify({ details: 'incorrect username or password' }));
      await sendReply(exchange, { status: 401, headers, content });
      return;
    }
    const token = `token-${randomUUID()}`;
    if (exchange.effect.status === undefined) {
      const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
      this.#grants.set(token, { scopes, expiresAt: Date.now() + (expiresInSeconds ?? 60) * 1000 });
    }
    const answer = { [field]: token, ...(expiresInSeconds !== null && { expires_in: expiresInSeconds }) };
    await sendReply(exchange, { headers, content: contentOf(JSON.stringify(answer)) });
  }

  #knows({ request }: Exchange, form: URLSearchParams): boolean {
    const { credentials, identityToken } = this.#options;
    if (request.method === 'POST')
      return form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken;
    if (credentials) return request.headers.authorization === basic(credentials.username, credentials.password);
    return identityToken === undefined;
  }
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
