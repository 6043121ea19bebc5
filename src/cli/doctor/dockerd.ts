// Whether the dockerd of this machine, where there is one, pulls Docker Hub through the mirror.
import { hostname, networkInterfaces } from 'node:os';
import type { Wish } from '../client-configs/client-config.ts';
import { dockerConfig } from '../client-configs/docker.ts';
import { ask, type Place, whyNot } from './ask.ts';
import { type Finding, one } from './finding.ts';

export interface DockerdOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

const check = 'dockerd';
const usualSocket = '/var/run/docker.sock';

export async function lookAtDockerd(wish: Wish, { env, signal }: DockerdOptions): Promise<readonly Finding[]> {
  if (!wish.registries.includes('docker.io'))
    return one({ check, mark: 'skip', what: 'its mirrors are for Docker Hub alone, which is none of the upstreams' });
  const place = placeOf(env.DOCKER_HOST || `unix://${usualSocket}`, env);
  if (!place)
    return one({ check, mark: 'skip', what: `DOCKER_HOST is none that can be asked from here: ${env.DOCKER_HOST}` });
  let text: string;
  try {
    const { status, body } = await ask(place, '/info', { signal });
    if (status !== 200) return one({ check, mark: 'warn', what: `it answered ${status} to /info`, remedy: askItself });
    text = body.toString();
  } catch (error) {
    return one(unanswered(error, place, env.DOCKER_HOST !== undefined));
  }
  return one(judge(wish, text));
}

const askItself = 'see what docker info says of Registry Mirrors';

function judge(wish: Wish, text: string): Finding {
  const mirrors = mirrorsIn(text);
  if (!mirrors) return { check, mark: 'warn', what: 'what it says of itself cannot be read', remedy: askItself };
  const { path, content, reload } = dockerConfig(wish);
  const wanted = (JSON.parse(content) as { 'registry-mirrors': [string] })['registry-mirrors'][0];
  const found = mirrors.find((mirror) => isSameMirror(mirror, wanted));
  if (found !== undefined) return { check, mark: 'ok', what: `it pulls Docker Hub through ${found}` };
  const others = mirrors.length === 0 ? 'it has no mirrors' : `its mirrors are ${mirrors.slice(0, 5).join(', ')}`;
  const line = JSON.stringify({ 'registry-mirrors': [wanted] });
  const remedy = `put ${line} into ${path}; then ${reload.split('   ')[0]}`;
  return { check, mark: 'warn', what: `it does not pull through this mirror: ${others}`, remedy };
}

function placeOf(host: string, env: DockerdOptions['env']): Place | undefined {
  const socketPath = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (socketPath !== undefined) return { url: new URL('http://docker'), socketPath };
  // Certificates of clients are docker's own business.
  const isPlainTcp = /^(tcp|http):\/\/[^/]+\/?$/.test(host) && !env.DOCKER_TLS_VERIFY;
  const url = isPlainTcp ? URL.parse(host.replace(/^tcp:/, 'http:')) : null;
  return url ? { url } : undefined;
}

function unanswered(error: unknown, { socketPath, url }: Place, isNamed: boolean): Finding {
  const { code } = error as NodeJS.ErrnoException;
  const where = socketPath ?? url.host;
  if (code === 'ENOENT' && !isNamed) return { check, mark: 'skip', what: 'not here' };
  if (code === 'EACCES')
    return {
      check,
      mark: 'skip',
      what: `this user may not ask it (${where})`,
      remedy: 'run doctor as root, or in the group docker',
    };
  return { check, mark: 'skip', what: `not running, at ${where}: ${whyNot(error)}` };
}

/** `undefined` for what is no answer of dockerd's. */
function mirrorsIn(text: string): readonly string[] | undefined {
  try {
    const { RegistryConfig } = JSON.parse(text) as { RegistryConfig?: { Mirrors?: unknown } };
    const mirrors = RegistryConfig?.Mirrors ?? [];
    return RegistryConfig && Array.isArray(mirrors) ? mirrors.map(String) : undefined;
  } catch {
    return undefined;
  }
}

/** This machine has many names. */
function isSameMirror(one: string, other: string): boolean {
  const [first, second] = [URL.parse(one), URL.parse(other)];
  if (!first || !second) return false;
  const isSameDoor = first.protocol === second.protocol && first.port === second.port;
  const isSamePath = first.pathname.replace(/\/+$/, '') === second.pathname.replace(/\/+$/, '');
  const isSameHost = first.hostname === second.hostname || [first, second].every(({ hostname }) => isOwnName(hostname));
  return isSameDoor && isSamePath && isSameHost;
}

function isOwnName(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '');
  if (bare === 'localhost' || bare.startsWith('127.') || bare === '::1') return true;
  if (bare === hostname().toLowerCase() || bare.split('.')[0] === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === bare));
}
