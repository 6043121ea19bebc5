// Keys of the contract that this version does not act on: refused where ignoring them would mislead, else warned about.
import { isDeepStrictEqual } from 'node:util';
import { keyName, valueAt } from './keys.ts';
import type { Problem } from './problems.ts';
import type { Config, UpstreamConfig } from './schema.ts';

export interface Unbuilt {
  readonly refusals: readonly Problem[];
  readonly warnings: readonly string[];
}

const REFUSED: Readonly<Record<string, string>> = {
  'listen.tls.clientCaFile': 'client certificates would not be checked; remove it',
  'admin.token': 'nothing would be protected by it; remove it',
  'admin.protectMetrics': '/metrics would stay open; remove it',
  'access.anonymous': 'everyone may pull; leave it at "pull"',
  'access.htpasswdFile': 'nobody would be asked for a password; remove it',
  'access.tokensFile': 'nobody would be asked for a token; remove it',
  'access.oidc': 'nobody would be asked for a token; remove it',
  'access.networks': 'clients would not be told apart; remove it',
  'access.rules': 'everyone could pull everything; remove them',
  'prefetch.schedule': 'nothing would be pulled at those times; remove it',
  tier: 'nothing would be kept in the bucket; remove it',
  redis: 'replicas would not know of each other; remove it',
};

const WARNED: Readonly<Record<string, string>> = {
  'listen.trustedProxies': 'X-Forwarded-* headers are not read',
  'tracing.endpoint': 'no traces are sent',
};

/** Compares with the defaults: a key that is given as it would be anyway is neither refused nor warned about. */
export function findUnbuilt(config: Config, defaults: Config): Unbuilt {
  const refusals = changed(REFUSED, config, defaults).map(refusal);
  const warnings = changed(WARNED, config, defaults).map(warning);
  for (const [name, upstream] of Object.entries(config.upstreams)) refusals.push(...visibilityProblems(name, upstream));
  return { refusals, warnings };
}

interface Finding {
  readonly path: readonly string[];
  readonly why: string;
}

function changed(table: Readonly<Record<string, string>>, given: unknown, usual: unknown): Finding[] {
  return Object.entries(table).flatMap(([key, why]) => {
    const path = key.split('.');
    const value = valueAt(given, path);
    return value === undefined || isDeepStrictEqual(value, valueAt(usual, path)) ? [] : [{ path, why }];
  });
}

function visibilityProblems(name: string, { credentials, visibility }: UpstreamConfig): Problem[] {
  if (!credentials || visibility === 'public') return [];
  const path = ['upstreams', name, 'visibility'];
  const message =
    `${keyName(path)}: "${visibility}" with credentials is not in this version: it cannot tell yet who may ` +
    'see private content; set visibility to "public" to serve what these credentials can see to everyone';
  return [{ path, message }];
}

function refusal({ path, why }: Finding): Problem {
  return { path, message: `${keyName(path)} is not in this version: ${why}` };
}

function warning({ path, why }: Finding): string {
  return `${keyName(path)} has no effect in this version: ${why}`;
}
