// What one client needs to pull through the mirror: a file, and what there is to know about it.
import { ConfigError } from '../../config/config-error.ts';
import type { MirrorAddress } from './mirror-address.ts';

export interface Wish {
  readonly mirror: MirrorAddress;
  /** Those that the mirror serves by name, as images begin with them. */
  readonly registries: readonly string[];
  /** Of names that begin with no registry. */
  readonly defaultUpstream: string;
}

export interface ClientConfig {
  /** On the client. */
  readonly path: string;
  readonly content: string;
  /** The file may have lines that begin with `#`. */
  readonly takesComments: boolean;
  readonly reload: string;
  /** Commands, to be run on the client. */
  readonly check: readonly string[];
  /** One line each. */
  readonly notes: readonly string[];
}

export type Writer = (wish: Wish) => ClientConfig;

/** A string of TOML and of YAML as well, as far as registries and addresses go. */
export const quoted = JSON.stringify;

/** For clients that ask for `/v2/` at the root of a host, and put what a mirror's address has more behind it. */
export function hostAlone({ host, path }: MirrorAddress, client: string): string {
  if (path === '') return host;
  throw new ConfigError(`${client} cannot use a mirror below a path: ${host}${path}: give --mirror without ${path}`);
}

/** What everybody has to know of this address. */
export function addressNotes({ host, isLoopback, isPlain }: MirrorAddress, authority: string): string[] {
  return [
    ...(isLoopback ? [`Only this machine reaches ${host}: for others give --mirror http://NAME:PORT.`] : []),
    ...(isPlain ? [] : [`If its certificate is of an authority of your own: ${authority}`]),
  ];
}
