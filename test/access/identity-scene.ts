// One issuer, a mirror that believes it, and a clock that only the test moves.
import { Identities, type IdentitiesOptions, type TrustedIssuer } from '../../src/access/oidc.ts';
import { OidcIssuer, type TokenOptions } from '../support/oidc-issuer.ts';

export const startSeconds = 1_800_000_000;

export type SceneOptions = {
  /** What the configuration says of the issuer, in each of its entries. */
  readonly entries?: readonly Partial<TrustedIssuer>[];
  readonly alg?: string;
  /** What the issuer calls itself; it is asked at its own address all the same. */
  readonly name?: string;
  readonly options?: IdentitiesOptions;
};

export class IdentityScene implements AsyncDisposable {
  readonly issuer: OidcIssuer;
  readonly identities: Identities;
  /** What was told of issuers. */
  readonly problems: string[] = [];
  #seconds = 0;

  private constructor(issuer: OidcIssuer, { entries = [{}], options }: SceneOptions) {
    this.issuer = issuer;
    const trusted = entries.map((entry) => ({ issuer: issuer.name, audience: 'mirror', ...entry }));
    this.identities = new Identities(trusted, {
      now: () => this.seconds * 1000,
      clock: () => this.#seconds * 1000,
      fetch: (url, init) => fetch(String(url).replace(issuer.name, issuer.server.url), init),
      onProblem: (name, problem) => this.problems.push(`${name === issuer.name}: ${problem}`),
      ...options,
    });
  }

  static async start(options: SceneOptions = {}): Promise<IdentityScene> {
    const { name, alg } = options;
    return new IdentityScene(await OidcIssuer.start({ ...(name && { name }), ...(alg && { alg }) }), options);
  }

  get seconds(): number {
    return startSeconds + this.#seconds;
  }

  pass(seconds: number): void {
    this.#seconds += seconds;
  }

  token(options?: TokenOptions): Promise<string> {
    return this.issuer.token(this.seconds, options);
  }

  /** The name that a token gives. */
  async nameOf(token: string): Promise<string | undefined> {
    return (await this.identities.verify(token))?.name;
  }

  /** The same, of a token made for it. */
  async nameWith(options?: TokenOptions): Promise<string | undefined> {
    return await this.nameOf(await this.token(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.issuer[Symbol.asyncDispose]();
  }
}
