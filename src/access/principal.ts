// Who is calling, and how the mirror knows.

export type Proof = 'nothing' | 'network' | 'certificate' | 'password' | 'token' | 'identity';

export interface Principal {
  /** As the rules write it; `undefined` for who showed nothing that the mirror knows. */
  readonly name: string | undefined;
  readonly by: Proof;
  /** Whether it may be used for a repository, `registry/path`, at all; without it, for every one. */
  readonly covers?: (repository: string) => boolean;
}

/** What the rules call everybody without a name. */
export const anonymousName = 'anonymous';
/** Who may use the admin listener. */
export const adminName = 'admin';

export const nobody: Principal = { name: undefined, by: 'nothing' };

/** Names that a file or a certificate could give to somebody, and that mean somebody else in the rules. */
export function isReservedName(name: string): boolean {
  return name === anonymousName || name.includes('*') || name.trim() === '';
}
