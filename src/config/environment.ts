// STILLWATER_* variables as overrides of keys: cache.maxSize is STILLWATER_CACHE__MAX_SIZE.
import { allKeys, keyName, typesAt } from './keys.ts';
import { nearest } from './nearest.ts';

/** One value from a flag or from the environment, still as text. */
export interface Override {
  /** As the person wrote it, for messages: `--port`, `STILLWATER_LISTEN__PORT`. */
  readonly origin: string;
  readonly path: readonly string[];
  readonly text: string;
}

export interface EnvironmentOverrides {
  readonly overrides: readonly Override[];
  readonly problems: readonly string[];
}

const PREFIX = 'STILLWATER_';

/** The variable that chooses the file rather than a key in it. */
export const FILE_VARIABLE = `${PREFIX}CONFIG`;

/** An empty variable counts as not set: that is how compose files and charts pass what nobody filled in. */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  upstreamNames: readonly string[],
): EnvironmentOverrides {
  const paths = Map.groupBy(allKeys(upstreamNames), variableName);
  const overrides: Override[] = [];
  const problems: string[] = [];
  for (const [origin, text = ''] of Object.entries(env).sort()) {
    if (!origin.startsWith(PREFIX) || origin === FILE_VARIABLE || text === '' || isServiceLink(origin, text)) continue;
    const [path, ...others] = paths.get(origin) ?? [];
    if (!path) problems.push(`${origin} is not a known variable${suggestion(origin, [...paths.keys()])}`);
    else if (others.length > 0)
      problems.push(`${origin} is both ${[path, ...others].map(keyName).join(' and ')}: set it in the file`);
    else if (!isScalar(path, text))
      problems.push(`${origin}: ${keyName(path)} holds more than one value: set it in the file`);
    else overrides.push({ origin, path, text });
  }
  return { overrides, problems };
}

/** maxSize becomes MAX_SIZE and docker.io becomes DOCKER_IO; two underscores go between them. */
export function variableName(path: readonly string[]): string {
  const parts = path.map((part) =>
    part
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replace(/[^A-Za-z0-9]/g, '_')
      .toUpperCase(),
  );
  return PREFIX + parts.join('__');
}

function isScalar(path: readonly string[], text: string): boolean {
  const types = typesAt(path);
  return (
    types.some((type) => type !== 'object' && type !== 'array' && type !== 'null') ||
    (text === 'null' && types.includes('null'))
  );
}

// Kubernetes tells every pod of a namespace about a Service called stillwater (or stillwater-anything) this way.
function isServiceLink(name: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (/[^_]_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(text))
  );
}

function suggestion(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? '; see the keys in config.example.json' : `; did you mean ${meant}?`;
}
