// Docker's config.json: which credentials, or which credential helper, it has for a registry.
import { serverAddress } from './credential-helper.ts';
import type { Credentials } from './credentials.ts';

export type DockerConfigEntry = { readonly helper: string } | { readonly credentials: Credentials };

/** `undefined`: nothing for this registry. Throws an `Error` that says what is wrong and quotes nothing. */
export function findInDockerConfig(text: string, name: string): DockerConfigEntry | undefined {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON'); // the parser's own complaint quotes what it reads
  }
  if (!isObject(config)) throw new Error('it is not a JSON object');
  // As docker does it: an empty name of a helper means the file itself.
  const helper = entryOf(config.credHelpers, name) ?? config.credsStore;
  if (typeof helper === 'string' && helper !== '') return { helper };
  const auth = entryOf(config.auths, name);
  const credentials = isObject(auth) ? credentialsOf(auth) : undefined;
  return credentials && { credentials };
}

function entryOf(entries: unknown, name: string): unknown {
  if (!isObject(entries)) return undefined;
  const keys = Object.keys(entries).filter((key) => registryOf(key) === registryOf(name));
  const key = keys.find((exact) => exact === serverAddress(name)) ?? keys[0];
  return key === undefined ? undefined : entries[key];
}

/** Keys are hosts, or addresses that `docker login` and others made of them. */
function registryOf(key: string): string {
  const host = key
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/(v[12]\/?)?$/, '');
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

function credentialsOf(entry: Readonly<Record<string, unknown>>): Credentials | undefined {
  const { auth, identitytoken: identityToken, username, password } = entry;
  if (isText(identityToken)) return { identityToken };
  if (isText(auth)) return parseAuth(auth);
  return isText(username) && isText(password) ? { username, password } : undefined;
}

function parseAuth(auth: string): Credentials {
  // Docker's first versions filled the rest of a block with NULs.
  const [, username, password] = /^([^:]+):(.+?)\0*$/s.exec(Buffer.from(auth, 'base64').toString()) ?? [];
  if (username === undefined || password === undefined)
    throw new Error('its auth for this registry is not base64 of username:password');
  return { username, password };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
