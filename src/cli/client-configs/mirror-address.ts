// Where clients reach the mirror, in the forms that their files want it.
import { hostname } from 'node:os';
import { ConfigError } from '../../config/config-error.ts';
import type { Config } from '../../config/schema.ts';

export interface MirrorAddress {
  /** Without a slash at its end. */
  readonly url: string;
  /** Host and port as an image's name begins with them; IPv6 in brackets. */
  readonly host: string;
  /** HTTP: clients have to be told that this is meant. */
  readonly isPlain: boolean;
  /** What a proxy in front of the mirror has it under: `/hub`, or nothing. */
  readonly path: string;
  /** Only this machine can reach it. */
  readonly isLoopback: boolean;
}

const wildcards: readonly string[] = ['0.0.0.0', '::', '[::]'];

/** As a person writes it. Throws an error of what is wrong with it, without naming it. */
export function parseMirrorAddress(text: string): MirrorAddress {
  const url = URL.parse(text);
  if (!url || !/^https?:\/\//i.test(text)) throw new Error('Write it as http://mirror.example:5000.');
  if (url.username || url.password || url.search || url.hash)
    throw new Error('It may have no user name, password, "?" or "#".');
  // What people copy from the address of a request.
  const path = url.pathname.replace(/\/v2\/?$/, '').replace(/\/+$/, '');
  if (/\/v2\//.test(path)) throw new Error('Leave out /v2 and what follows: clients add it themselves.');
  const isLoopback = /^(localhost|127\..*|\[::1\])$/.test(url.hostname);
  return { url: `${url.origin}${path}`, host: url.host, isPlain: url.protocol === 'http:', path, isLoopback };
}

/** As the configuration has the mirror listen; one that listens everywhere is known by the name of its machine. */
export function mirrorOf({ listen }: Pick<Config, 'listen'>, machine = hostname()): MirrorAddress {
  const { host, port, tls } = listen;
  if (port === 0) throw new ConfigError('listen.port is 0, a free port at each start: give --mirror URL');
  const reachable = wildcards.includes(host) ? machine : host;
  const bracketed = reachable.includes(':') ? `[${reachable.replace(/^\[|\]$/g, '')}]` : reachable;
  try {
    return parseMirrorAddress(`${tls ? 'https' : 'http'}://${bracketed}:${port}`);
  } catch (cause) {
    throw new ConfigError(`listen.host is no name that clients can use: ${reachable}: give --mirror URL`, { cause });
  }
}
