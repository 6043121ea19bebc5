// Who may pull what: every way to be known, the rules, and what is public upstream, put together.
import { OciError } from '../oci/errors.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import { type Authorization, parseAuthorization } from './authorization.ts';
import type { IssuedToken, IssuedTokens } from './issued-tokens.ts';
import type { Networks } from './networks.ts';
import type { Identities } from './oidc.ts';
import type { Passwords } from './passwords.ts';
import { nobody, type Principal } from './principal.ts';
import type { Rules } from './rules.ts';
import type { Tokens } from './tokens.ts';
import type { Visibility } from './visibility.ts';

/** What is known of a request before anything is believed. */
export interface Caller {
  /** Of the client, whatever proxies stand between. */
  readonly address: string;
  /** The Authorization header, as it came. */
  readonly authorization: string | undefined;
  /** The common name of a client certificate that an authority of ours signed. */
  readonly certificate: string | undefined;
}

/**
 * What an upstream shows, beyond what it shows to everybody: `nothing` where it is asked without credentials; else what
 * the operator says of it, or `check`, which asks the upstream itself, repository by repository.
 */
export type Exposure = 'nothing' | 'public' | 'private' | 'check';

export interface Wish {
  readonly principal: Principal;
  readonly repository: Repository;
  readonly exposure: Exposure;
}

export interface Question {
  /** Whether the upstream gives the repository to everybody. */
  readonly ask: (signal: AbortSignal) => Promise<boolean>;
  readonly signal: AbortSignal;
  /** Of the client, whatever proxies stand between. */
  readonly address: string;
}

export type Decision =
  /**
   * `isPrivate`: what it sees is not for everybody. `isUnsure`: it was for everybody, and nobody could tell lately
   * whether it still is: our credentials must fetch nothing more for this caller.
   */
  | { readonly isAllowed: true; readonly isPrivate: boolean; readonly isUnsure?: boolean }
  /** `why` is for the log: a client is told the same, whatever kept it out. */
  | { readonly isAllowed: false; readonly why: string };

export interface AccessOptions {
  /** Nobody pulls without a name: then, and only then, clients are asked for credentials. */
  readonly asksForCredentials: boolean;
  readonly networks: Pick<Networks, 'principalOf'>;
  readonly passwords: Passwords;
  readonly tokens: Tokens;
  readonly issued: IssuedTokens;
  readonly identities: Identities;
  readonly rules: Rules;
  readonly visibility: Visibility;
}

export class Access {
  readonly asksForCredentials: boolean;
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.asksForCredentials = options.asksForCredentials;
    this.#options = options;
  }

  /** The strongest proof counts: credentials, then a certificate, then where it comes from. What proves nothing is dropped. */
  identify(caller: Caller): Principal | Promise<Principal> {
    const credentials = parseAuthorization(caller.authorization);
    if (!credentials) return this.#withoutCredentials(caller);
    return this.#withCredentials(credentials, caller).then(
      (known) => known?.principal ?? this.#withoutCredentials(caller),
    );
  }

  /** For our own token endpoint; `undefined` for who shows no credentials, or only what was issued here. */
  async issueToken(caller: Caller): Promise<IssuedToken | undefined> {
    const credentials = parseAuthorization(caller.authorization);
    const known = credentials && (await this.#withCredentials(credentials, caller));
    // A token of who is known by where he stands, or by his key, could be used without either.
    if (!known || known.isIssued) return undefined;
    return this.#options.issued.issue(known.principal, known.isStillGood);
  }

  /** Rejects with `OciError` UNAVAILABLE where that cannot be found out for the crowd of those who ask. */
  decide(wish: Wish, question: Question): Decision | Promise<Decision> {
    return this.decideNow(wish) ?? this.#ofPublic(wish.repository, question);
  }

  /** As `decide`; `undefined` where an upstream may have to be asked. Never unsure. */
  decideNow(wish: Wish): Decision | undefined {
    const { repository, exposure } = wish;
    const { effect, why } = this.#rule(wish);
    if (effect === 'deny') return { isAllowed: false, why };
    if (exposure === 'nothing') return { isAllowed: true, isPrivate: false };
    // Who may see it all the same need not wait for an answer; what comes so was shown to nobody without a right.
    if (exposure === 'public' || effect === 'allow') return { isAllowed: true, isPrivate: true };
    if (exposure === 'private') return { isAllowed: false, why: 'private' };
    return this.#options.visibility.isProvenPublic(repository) ? { isAllowed: true, isPrivate: false } : undefined;
  }

  /** Whether what an upstream shows of it is everybody's, whatever the rules say of anybody. Rejects as `decide` does. */
  async isForAll({ repository, exposure }: Omit<Wish, 'principal'>, question: Question): Promise<boolean> {
    if (exposure !== 'check') return exposure === 'nothing';
    const decision = await this.#ofPublic(repository, question);
    return decision.isAllowed && decision.isUnsure !== true;
  }

  /** As `decide`, by what is known here: for lists, which must not ask an upstream about each of their lines. */
  mayList(wish: Wish): boolean {
    const { effect } = this.#rule(wish);
    if (effect !== 'none') return effect === 'allow';
    if (wish.exposure === 'check') return this.#options.visibility.isProvenPublic(wish.repository);
    return wish.exposure !== 'private';
  }

  #rule({ principal, repository }: Wish): { readonly effect: 'allow' | 'deny' | 'none'; readonly why: string } {
    const name = formatRepository(repository);
    // Where nobody may pull without a name, a token outside of its scopes is nobody.
    if (this.asksForCredentials && principal.covers?.(name) === false) return { effect: 'deny', why: 'token scopes' };
    const { effect, rule } = this.#options.rules.decide(principal, name);
    return { effect, why: `access.rules[${rule}]` };
  }

  async #ofPublic(repository: Repository, { ask, signal, address }: Question): Promise<Decision> {
    const options = { signal, address, patienceMs: recheckMs };
    const sight = await this.#options.visibility.check(repository, ask, options);
    if (sight === 'unasked') throw tooManyQuestions();
    if (sight === 'private') return { isAllowed: false, why: 'not public' };
    if (sight === 'untold') return { isAllowed: false, why: 'nobody could tell whether it is public' };
    return { isAllowed: true, isPrivate: false, isUnsure: sight === 'once public' };
  }

  #withoutCredentials({ address, certificate }: Caller): Principal {
    if (certificate !== undefined) return { name: certificate, by: 'certificate' };
    const name = this.#options.networks.principalOf(address);
    return name === undefined ? nobody : { name, by: 'network' };
  }

  /** A token may come as the password of any user: it is what `docker login` can store. */
  async #withCredentials(credentials: Authorization, { address }: Caller): Promise<Known | undefined> {
    const token = credentials.scheme === 'bearer' ? credentials.token : credentials.password;
    const known = await this.#withToken(token);
    if (known || credentials.scheme === 'bearer') return known;
    const { passwords } = this.#options;
    const { user, password } = credentials;
    const hash = passwords.hashOf(user);
    const verdict = await passwords.judge({ user, password, address });
    if (this.asksForCredentials && (verdict === 'locked' || verdict === 'busy')) throw tooManyLogins(verdict);
    if (verdict !== 'right') return undefined;
    return { principal: { name: user, by: 'password' }, isStillGood: () => passwords.hashOf(user) === hash };
  }

  async #withToken(token: string): Promise<Known | undefined> {
    const { tokens, issued, identities } = this.#options;
    const named = tokens.find(token);
    if (named) return { principal: named, isStillGood: () => tokens.isStillGood(named) };
    const owner = issued.find(token);
    if (owner) return { principal: owner, isStillGood: () => true, isIssued: true };
    const principal = await identities.verify(token);
    return principal && { principal, isStillGood: () => true };
  }
}

/** Said only where nobody gets anything without a name: elsewhere who has none yet is served as nobody. */
function tooManyLogins(verdict: 'locked' | 'busy'): OciError {
  const why =
    verdict === 'locked' ? 'too many wrong passwords came from this address' : 'too many log in at this moment';
  return new OciError('TOOMANYREQUESTS', `${why}; try again in a minute`);
}

/** Not 404: whoever fills the places must not make what is public look as if it were not there. */
function tooManyQuestions(): OciError {
  return new OciError(
    'UNAVAILABLE',
    'whether everybody may pull this cannot be found out now: too many others are being asked about; try again in a ' +
      'moment, or pull from the registry itself',
  );
}

/** How long a pull waits to hear that what was public an hour ago still is. */
const recheckMs = 2000;

interface Known {
  readonly principal: Principal;
  readonly isStillGood: () => boolean;
  /** By our own token endpoint: such a token must not live on in its successors. */
  readonly isIssued?: boolean;
}
