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
  readonly credentials?: Account;
  /** Besides anybody without a login these users get tokens, of their own; whoever shows something else gets none. */
  readonly accounts?: readonly Account[];
  /** Who posts this as a refresh token gets a token as well. */
  readonly identityToken?: string;
  /** Under which name the token is sent. */
  readonly field?: 'token' | 'access_token';
};

export type Account = { readonly username: string; readonly password: string };

/** A status in place of a token for this scope; `user` is `undefined` for who has no login. */
export type RefusesScope = (scope: string, user: string | undefined) => 401 | 403 | undefined;

type Grant = { readonly scopes: readonly string[]; readonly expiresAt: number; readonly user: string | undefined };

/** Whose password or identity token it was. */
type Asker = { readonly user: string | undefined };

export class FakeTokenServer implements AsyncDisposable {
  readonly server: RecordedServer;
  readonly service: string;
  readonly #options: TokenOptions;
  readonly #refuses: RefusesScope;
  readonly #grants = new Map<string, Grant>();

  private constructor(server: RecordedServer, options: TokenOptions, refuses: RefusesScope) {
    this.server = server;
    this.service = options.service ?? 'registry.example';
    this.#options = options;
    this.#refuses = refuses;
  }

  static async start(options: TokenOptions = {}, refuses: RefusesScope = () => undefined): Promise<FakeTokenServer> {
    const server = await RecordedServer.start({
      kindOf: () => 'token',
      handle: (exchange) => tokens.answer(exchange),
    });
    const tokens: FakeTokenServer = new FakeTokenServer(server, options, refuses);
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
    const grant = this.#grantOf(authorization);
    return grant !== undefined && grant.expiresAt > Date.now() && grant.scopes.includes(scope);
  }

  /** Who asked for the token that is shown. */
  userOf(authorization: string | undefined): string | undefined {
    return this.#grantOf(authorization)?.user;
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
    const token = `token-${randomUUID()}`;
    if (exchange.effect.status === undefined) {
      const asker = this.#knows(exchange, form);
      const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
      const refusal = asker && scopes.map((scope) => this.#refuses(scope, asker.user)).find(Boolean);
      if (!asker || refusal) {
        const details = asker ? 'requested access to the resource is denied' : 'incorrect username or password';
        const content = contentOf(JSON.stringify({ details }));
        await sendReply(exchange, { status: refusal ?? 401, headers, content });
        return;
      }
      const expiresAt = Date.now() + (expiresInSeconds ?? 60) * 1000;
      this.#grants.set(token, { scopes, expiresAt, user: asker.user });
    }
    const answer = { [field]: token, ...(expiresInSeconds !== null && { expires_in: expiresInSeconds }) };
    await sendReply(exchange, { headers, content: contentOf(JSON.stringify(answer)) });
  }

  /** `undefined`: no token for them. */
  #knows({ request }: Exchange, form: URLSearchParams): Asker | undefined {
    const { credentials, accounts, identityToken } = this.#options;
    const { authorization } = request.headers;
    const anybody = { user: undefined };
    if (request.method === 'POST') {
      const isKnown = form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken;
      return isKnown ? { user: identityUser } : undefined;
    }
    const account = accountOf(authorization, [...(accounts ?? []), ...(credentials ? [credentials] : [])]);
    if (account) return { user: account.username };
    if (credentials || (accounts && authorization !== undefined)) return undefined;
    return accounts || identityToken === undefined ? anybody : undefined;
  }

  #grantOf(authorization: string | undefined): Grant | undefined {
    return this.#grants.get(authorization?.replace(/^Bearer /i, '') ?? '');
  }
}

/** The user of whoever has the identity token. */
export const identityUser = 'identity';

export function accountOf(authorization: string | undefined, accounts: readonly Account[]): Account | undefined {
  return accounts.find(({ username, password }) => authorization === basic(username, password));
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
