// Identities that an issuer vouches for, such as those of CI jobs: a signed token instead of a password.
import { decodeJwt, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { matchesClaims } from './claims.ts';
import { IssuerKeys, type IssuerKeysOptions } from './issuer-keys.ts';
import { adminName, isReservedName, type Principal } from './principal.ts';

export interface TrustedIssuer {
  /** Exactly as in its tokens. */
  readonly issuer: string;
  readonly audience: string;
  /** Globs that claims of the token must match, by name. */
  readonly claims?: Readonly<Record<string, string>> | undefined;
  /** Who bears a token that matches; its `sub` if not given. */
  readonly principal?: string | undefined;
}

export interface IdentitiesOptions extends Omit<IssuerKeysOptions, 'onProblem'> {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** At most once a minute an issuer: it could not be asked, or what it says cannot be used. No part of a token. */
  readonly onProblem?: (issuer: string, problem: string) => void;
}

/** Only what one side alone can sign: with a shared secret, who can verify can also sign. */
const algorithms: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
  ...['EdDSA', 'Ed25519'],
];
const toleranceSeconds = 30;
const longestToken = 16 * 1024;
const jsonWebToken = /^[\w-]+\.[\w-]+\.[\w-]*$/;
const controlCharacter = /\p{Cc}/u;

export class Identities {
  readonly #trusted: ReadonlyMap<string, readonly TrustedIssuer[]>;
  readonly #keys: ReadonlyMap<string, IssuerKeys>;
  readonly #now: () => number;

  constructor(trusted: readonly TrustedIssuer[], options: IdentitiesOptions = {}) {
    const { onProblem } = options;
    this.#now = options.now ?? Date.now;
    this.#trusted = Map.groupBy(trusted, ({ issuer }) => issuer);
    const keysOf = (issuer: string) =>
      new IssuerKeys(issuer, { ...options, onProblem: (problem) => onProblem?.(issuer, problem) });
    this.#keys = new Map([...this.#trusted.keys()].map((issuer) => [issuer, keysOf(issuer)]));
  }

  /** Whether a text has the form of a token that an issuer signs. */
  looksLike(token: string): boolean {
    return token.length <= longestToken && jsonWebToken.test(token);
  }

  /** `undefined` for whatever proves nobody. Asks nobody but issuers that are trusted, for their keys. */
  async verify(token: string): Promise<Principal | undefined> {
    const issuer = this.looksLike(token) ? claimedIssuer(token) : undefined;
    const keys = issuer === undefined ? undefined : this.#keys.get(issuer);
    if (issuer === undefined || !keys) return undefined;
    const claims = await this.#provenClaims(token, issuer, (header) => keys.find(header));
    return claims && this.#principalOf(issuer, claims);
  }

  async #provenClaims(token: string, issuer: string, find: JWTVerifyGetKey): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(token, find, {
        issuer,
        algorithms: [...algorithms],
        requiredClaims: ['exp'],
        clockTolerance: toleranceSeconds,
        currentDate: new Date(this.#now()),
      });
      return payload;
    } catch {
      // Whatever is wrong with it, it is somebody else's text: nothing of it is told.
      return undefined;
    }
  }

  #principalOf(issuer: string, claims: JWTPayload): Principal | undefined {
    // The library looks at the time of issue only where a token has an age limit.
    if (claims.iat !== undefined && claims.iat > this.#now() / 1000 + toleranceSeconds) return undefined;
    const entry = this.#entriesOf(issuer).find(
      ({ audience, claims: wanted = {} }) => [claims.aud].flat().includes(audience) && matchesClaims(claims, wanted),
    );
    if (!entry) return undefined;
    const name = entry.principal ?? nameIn(claims);
    return name === undefined ? undefined : { name, by: 'identity' };
  }

  #entriesOf(issuer: string): readonly TrustedIssuer[] {
    return this.#trusted.get(issuer) ?? [];
  }
}

/** Read before anything is proven, to know whose keys would prove it. */
function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** An issuer names its own people, but nobody whom the rules or the admin listener mean by that name. */
function nameIn({ sub }: JWTPayload): string | undefined {
  const isOurs = typeof sub !== 'string' || sub === adminName || isReservedName(sub) || controlCharacter.test(sub);
  return isOurs ? undefined : sub;
}
