// Every upstream of this process, and the way from what a client asked for to the one that has it.
import { OciError } from '../oci/errors.ts';
import { isRepositoryPath, type Repository } from '../oci/repository.ts';
import type { Upstream } from './upstream.ts';

export interface Source {
  readonly repository: Repository;
  readonly upstream: Upstream;
}

/** The places where clients put a registry's name; all may be missing. */
export interface Namespace {
  /** The `ns` query parameter, as containerd sends it. */
  readonly ns: string | undefined;
  /** A path in front of `/v2/`, as dockerd sends it. */
  readonly prefix: string | undefined;
}

const dockerHub = 'docker.io';
/** What the reference grammar takes for a host: no path component of Docker Hub looks like it. */
const hostForm = /^(?:localhost|[a-z0-9][a-z0-9-]*(?:[.:][a-z0-9-]+)+|\[[0-9a-f:]+\](?::\d+)?)$/i;
const aliases: ReadonlyMap<string, string> = new Map([
  ['index.docker.io', dockerHub],
  ['registry-1.docker.io', dockerHub],
]);

export class Upstreams {
  readonly #byName: ReadonlyMap<string, Upstream>;
  readonly #defaultName: string;

  constructor(upstreams: readonly Upstream[], defaultName: string) {
    this.#byName = new Map(upstreams.map((upstream) => [upstream.name, upstream]));
    this.#defaultName = defaultName;
  }

  /**
   * Only configured names are ever dialled. Throws `OciError` NAME_UNKNOWN for any other registry and where two places
   * name different ones, NAME_INVALID for a path outside the spec's grammar.
   */
  route(name: string, { ns, prefix }: Namespace): Source {
    const told = this.#agreed(ns, prefix);
    const slash = name.indexOf('/');
    const first = slash === -1 ? '' : name.slice(0, slash);
    const inPath = this.#find(first);
    if (told && inPath && told !== inPath)
      throw unknown(`the path says ${inPath.name} and the client's namespace says ${told.name}`);
    if (!told && !inPath && hostForm.test(first)) throw unknown(`registry ${first} is not configured here`);

    const upstream = told ?? inPath ?? this.#find(this.#defaultName);
    if (!upstream) throw unknown(`the default registry ${this.#defaultName} is not configured here`);
    const path = inPath ? name.slice(slash + 1) : name;
    if (!isRepositoryPath(path)) throw new OciError('NAME_INVALID', `not a repository name: ${JSON.stringify(path)}`);
    return { upstream, repository: { registry: upstream.name, path: fullPath(upstream, path) } };
  }

  /** The registry of a request without a repository: what it names, or the default. Throws NAME_UNKNOWN. */
  named({ ns, prefix }: Namespace): string {
    return this.#agreed(ns, prefix)?.name ?? this.#defaultName;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map((upstream) => upstream.close()));
  }

  #agreed(ns: string | undefined, prefix: string | undefined): Upstream | undefined {
    const named = [ns, prefix].filter((name) => name !== undefined);
    const found = named.map((name) => {
      const upstream = this.#find(name);
      if (!upstream) throw unknown(`registry ${JSON.stringify(name)} is not configured here`);
      return upstream;
    });
    if (found.length === 2 && found[0] !== found[1]) throw unknown(`two registries were named: ${named.join(' and ')}`);
    return found[0];
  }

  #find(name: string): Upstream | undefined {
    return this.#byName.get(aliases.get(name) ?? name);
  }
}

/** Docker Hub's official images live under library/; without it the token server grants nothing. */
function fullPath(upstream: Upstream, path: string): string {
  return upstream.name === dockerHub && !path.includes('/') ? `library/${path}` : path;
}

function unknown(why: string): OciError {
  return new OciError('NAME_UNKNOWN', `${why}; see the mirror's upstreams configuration`);
}
