// Which repositories of an upstream may be pulled at all.
import { compileGlob } from '../oci/glob.ts';

export interface PathRules {
  /** Globs of the only paths that may be pulled; all may when there is none. */
  readonly allow?: readonly string[] | undefined;
  /** Globs of paths that may not, allowed or not. */
  readonly deny?: readonly string[] | undefined;
}

export class PathPolicy {
  readonly #allow: readonly ((path: string) => boolean)[] | undefined;
  readonly #deny: readonly ((path: string) => boolean)[];

  constructor({ allow, deny = [] }: PathRules) {
    this.#allow = allow?.map(compileGlob);
    this.#deny = deny.map(compileGlob);
  }

  /** Why a path may not be pulled, by the key that says so; `undefined` when it may. */
  objection(path: string): 'allow' | 'deny' | undefined {
    if (this.#deny.some((matches) => matches(path))) return 'deny';
    return this.#allow && !this.#allow.some((matches) => matches(path)) ? 'allow' : undefined;
  }
}
