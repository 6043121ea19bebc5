// One way to be known to a registry: credentials that may change while the mirror runs.

import { UpstreamError } from '../upstream.ts';
import type { Credentials } from './credentials.ts';

export interface Login {
  /** `anonymous`, or its place in the configuration from `1`. Safe to show. */
  readonly id: string;
  /**
   * The same object as long as they do not change; `undefined`: there are none for this registry. Throws
   * `UpstreamError` 'login' when they cannot be had.
   */
  credentials(): Promise<Credentials | undefined>;
  /** Forgets credentials that the registry refused; whether asking again may bring others. */
  refused(credentials: Credentials): boolean;
}

export const anonymous: Login = {
  id: 'anonymous',
  credentials: async () => undefined,
  refused: () => false,
};

/** Credentials that only change with the configuration. */
export function fixedLogin(id: string, credentials: Credentials): Login {
  return { id, credentials: async () => credentials, refused: () => false };
}

/** No part of `why` may come from what a file or a command says: it may be the secret itself. */
export function noCredentials(name: string, why: string): UpstreamError {
  return new UpstreamError('login', `upstream ${name}: its credentials could not be had: ${why}`);
}

/** Nor of what a registry or its token server said: it may say again what it was shown. */
export function refusedCredentials(name: string, why: string): UpstreamError {
  return new UpstreamError(
    'login',
    `upstream ${name} refused the configured credentials: ${why}; see upstreams.${name}.credentials`,
  );
}
