// Every upstream of this process, and the way from what a client asked for to the one that has it.
import { OciError } from '../oci/errors.ts';
import { isRepositoryPath, type Repository } from '../oci/repository.ts';
import { PathPolicy, type PathRules } from './path-policy.ts';
import type { Unlisted } from './unlisted.ts';
import type { Upstream, UpstreamStatus } from './upstream.ts';

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
  ['registry.hub.docker.com', dockerHub],
]);

export interface UpstreamEntry extends PathRules {
  readonly upstream: Upstream;
}

/** The key of all that the configuration does not name. */
const anyOther = '*';

export class Upstreams {
  readonly #listed: ReadonlyMap<string, Upstream>;
  readonly #defaultName: string;
  readonly #unlisted: Unlisted | undefined;
  readonly #policies: ReadonlyMap<string, PathPolicy>;

  /** `unlisted`: those that no entry names, where they are let in. */
  constructor(
    entries: readonly UpstreamEntry[],
    defaultName: string,
    unlisted?: PathRules & { readonly registries: Unlisted },
  ) {
    this.#listed = new Map(entries.map(({ upstream }) => [upstream.name, upstream]));
    this.#defaultName = defaultName;
    this.#unlisted = unlisted?.registries;
    const policies = entries.map(({ upstream, ...rules }) => [upstream.name, new PathPolicy(rules)] as const);
    this.#policies = new Map([...policies, [anyOther, new PathPolicy(unlisted ?? {})]]);
  }

  /**
   * Throws `OciError` NAME_UNKNOWN for a registry that the configuration does not let in and where two places name
   * different ones, NAME_INVALID for a path outside the spec's grammar, DENIED for one that may not be pulled.
   */
  route(name: string, { ns, prefix }: Namespace): Source {
    const told = this.#agreed(ns, prefix);
    const slash = name.indexOf('/');
    const first = slash === -1 ? '' : name.slice(0, slash);
    const inPath = this.#inPath(first, told);
    if (told && inPath && told !== inPath)
      throw unknown(`the path says ${inPath} and the client's namespace says ${told}`);
    if (!told && !inPath && hostForm.test(first)) throw unknown(`registry ${first} is not configured here`);

    const registry = told ?? inPath ?? this.#known(this.#defaultName);
    if (!registry) throw unknown(`the default registry ${this.#defaultName} is not configured here`);
    const path = inPath ? name.slice(slash + 1) : name;
    if (!isRepositoryPath(path)) throw new OciError('NAME_INVALID', `not a repository name: ${JSON.stringify(path)}`);
    const repository = { registry, path: fullPath(registry, path) };
    this.#checkPermitted(repository);
    return { upstream: this.#open(registry), repository };
  }

  /** The registry of a request without a repository: what it names, or the default. Throws NAME_UNKNOWN. */
  named({ ns, prefix }: Namespace): string {
    return this.#agreed(ns, prefix) ?? this.#defaultName;
  }

  /** Those that the configuration names. */
  get names(): readonly string[] {
    return [...this.#listed.keys()];
  }

  status(): UpstreamStatus[] {
    return this.#all().map((upstream) => upstream.status());
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((upstream) => upstream.close()));
  }

  #all(): Upstream[] {
    return [...this.#listed.values(), ...(this.#unlisted?.opened ?? [])];
  }

  #agreed(ns: string | undefined, prefix: string | undefined): string | undefined {
    const named = [ns, prefix].filter((name) => name !== undefined);
    const found = named.map((name) => {
      const registry = this.#known(name);
      if (!registry) throw unknown(`registry ${JSON.stringify(name)} is not configured here`);
      return registry;
    });
    if (found.length === 2 && found[0] !== found[1]) throw unknown(`two registries were named: ${named.join(' and ')}`);
    return found[0];
  }

  /** Beside a namespace only known names count: `group.name/app` is a repository on GitLab, and `.name` is a suffix. */
  #inPath(first: string, told: string | undefined): string | undefined {
    const registry = this.#known(first);
    return registry === undefined || registry === told || !told || this.#listed.has(registry) ? registry : undefined;
  }

  /** By the one name that we have for it, without opening anything. */
  #known(name: string): string | undefined {
    const registry = aliases.get(name) ?? name;
    return this.#listed.has(registry) || this.#unlisted?.admits(registry) ? registry : undefined;
  }

  #checkPermitted({ registry, path }: Repository): void {
    const key = this.#listed.has(registry) ? registry : anyOther;
    const rule = this.#policies.get(key)?.objection(path);
    if (rule === undefined) return;
    const why = rule === 'deny' ? 'matches a glob of' : 'matches no glob of';
    throw new OciError(
      'DENIED',
      `${registry}/${path} may not be pulled through this mirror: it ${why} upstreams.${key}.${rule}`,
    );
  }

  #open(registry: string): Upstream {
    const upstream = this.#listed.get(registry) ?? this.#unlisted?.open(registry);
    if (!upstream) throw unknown(`registry ${registry} is not configured here`);
    return upstream;
  }
}

/** Docker Hub's official images live under library/; without it the token server grants nothing. */
function fullPath(registry: string, path: string): string {
  return registry === dockerHub && !path.includes('/') ? `library/${path}` : path;
}

function unknown(why: string): OciError {
  return new OciError('NAME_UNKNOWN', `${why}; see the mirror's upstreams configuration`);
}
