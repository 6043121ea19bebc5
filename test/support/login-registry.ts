// A private registry that takes its own logins only, by Basic or from its token server, and remembers every word it heard.
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { basic } from './fake-token-server.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type Exchange, type RecordedRequest, RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type AcceptedLogin =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string };

export type LoginRegistryOptions = {
  readonly scheme: 'basic' | 'bearer';
  readonly accepts: readonly AcceptedLogin[];
  /** Where its challenges send people, if not to its own token server. */
  readonly realm?: string;
  /** Whatever it is shown, it answers GETs with this status and says again what it was. */
  readonly repeatsWith?: number;
};

export class LoginRegistry implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly tokens: RecordedServer;
  /** Every token that was given out. */
  readonly given: string[] = [];
  readonly #options: LoginRegistryOptions;
  readonly #posted: string[] = [];
  readonly #live = new Set<string>();
  #accepts: readonly AcceptedLogin[];

  private constructor(options: LoginRegistryOptions, upstream: FakeUpstream, tokens: RecordedServer) {
    this.#options = options;
    this.#accepts = options.accepts;
    this.upstream = upstream;
    this.tokens = tokens;
  }

  /** Its blobs lie on a CDN behind signed addresses. */
  static async start(options: LoginRegistryOptions): Promise<LoginRegistry> {
    const upstream = await startFakeUpstream({ cdn: true, intercept: (exchange) => registry.#refuses(exchange) });
    const tokens = await RecordedServer.start({
      kindOf: () => 'token',
      handle: (exchange) => registry.#giveToken(exchange),
    });
    const registry: LoginRegistry = new LoginRegistry(options, upstream, tokens);
    return registry;
  }

  /** Whatever was given out is worth nothing from now on. */
  revokeTokens(): void {
    this.#live.clear();
  }

  /** The passwords have been changed. */
  refuseEverybody(): void {
    this.#accepts = [];
    this.revokeTokens();
  }

  /** All that arrived at each of its sockets. */
  get heard(): { readonly registry: string; readonly tokens: string; readonly cdn: string } {
    const tokens = `${heardIn(this.tokens.requests)}\n${this.#posted.join('\n')}`;
    return { registry: heardIn(this.upstream.requests), tokens, cdn: heardIn(this.upstream.cdn?.requests ?? []) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.upstream.close(), this.tokens.close()]);
  }

  async #refuses(exchange: Exchange): Promise<boolean> {
    const { authorization = '' } = exchange.request.headers;
    const { scheme, realm = `${this.tokens.url}/token`, repeatsWith } = this.#options;
    const isWelcome = scheme === 'basic' ? this.#knows(authorization) : this.#live.has(authorization);
    const isServed = isWelcome && (repeatsWith === undefined || exchange.request.method === 'HEAD');
    if (isServed || exchange.effect.status !== undefined) return false;
    const asked = scheme === 'basic' ? 'Basic realm="login"' : `Bearer realm="${realm}",service="login.test"`;
    const status = (isWelcome && repeatsWith) || 401;
    const headers = { 'content-type': 'application/json', ...(status === 401 && { 'www-authenticate': asked }) };
    await sendReply(exchange, { status, headers, content: this.#refusal(authorization) });
    return true;
  }

  async #giveToken(exchange: Exchange): Promise<void> {
    const { headers, method } = exchange.request;
    const posted = await text(exchange.request);
    this.#posted.push(posted);
    const form = new URLSearchParams(posted);
    const identity = form.get('grant_type') === 'refresh_token' ? form.get('refresh_token') : undefined;
    const isWelcome =
      method === 'POST'
        ? this.#accepts.some((login) => 'identityToken' in login && login.identityToken === identity)
        : this.#knows(headers.authorization ?? '');
    if (!isWelcome) {
      await sendReply(exchange, { status: 401, content: this.#refusal(`${headers.authorization} ${posted}`) });
      return;
    }
    const token = `given-${randomUUID()}`;
    this.given.push(token);
    this.#live.add(`Bearer ${token}`);
    const answer = { token, access_token: token, refresh_token: `given-${randomUUID()}`, expires_in: 300 };
    this.given.push(answer.refresh_token);
    await sendReply(exchange, {
      headers: { 'content-type': 'application/json' },
      content: contentOf(JSON.stringify(answer)),
    });
  }

  #knows(authorization: string): boolean {
    return this.#accepts.some(
      (login) => 'username' in login && authorization === basic(login.username, login.password),
    );
  }

  #refusal(shown: string) {
    const bare = shown.replace(/^(Basic|Bearer) /, '');
    const plain = Buffer.from(bare, 'base64').toString();
    const said = this.#options.repeatsWith === undefined ? '' : ` ${shown}, that is ${bare} or ${plain}`;
    const message = `unknown login${said}`;
    return contentOf(
      JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message, detail: message }], details: message }),
    );
  }
}

function heardIn(requests: readonly RecordedRequest[]): string {
  return requests.map(({ method, path, rawHeaders }) => `${method} ${path} ${rawHeaders.join(' ')}`).join('\n');
}
