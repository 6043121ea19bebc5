// One upstream put together from what its configuration says. Nothing is dialled before the first question.
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { AddressGuard } from './address-guard.ts';
import { Authenticator } from './auth/authenticator.ts';
import { sameOwner } from './auth/same-owner.ts';
import { Circuit } from './circuit.ts';
import type { CredentialsSetting } from './credentials/credentials.ts';
import { anonymous, type Login } from './credentials/login.ts';
import { openLogins } from './credentials/logins.ts';
import { addressOf, Endpoint } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { Limits } from './rate-limit.ts';
import { RegistryClient } from './registry-client.ts';
import { Sessions } from './sessions.ts';
import { Throttle } from './throttle.ts';
import { Transport } from './transport.ts';
import { type Upstream, unlisted } from './upstream.ts';

export interface UpstreamOptions {
  readonly name: string;
  /** For metrics, in place of the name: `*` for a registry that the configuration does not name. */
  readonly label?: string;
  /** At least one: other mirrors first, the registry itself last. */
  readonly endpoints: readonly URL[];
  readonly credentials?: CredentialsSetting | undefined;
  /** Hosts of token servers that may see the credentials, besides those of the registry's own domain. */
  readonly realms?: readonly string[] | undefined;
  readonly allowPrivate?: boolean | undefined;
  /** PEM of an authority to trust besides the system's. */
  readonly ca?: string | undefined;
  /** Kept to each endpoint at most. */
  readonly connections: number;
  readonly parallel: number;
  /** Bytes a second. */
  readonly rate?: number | undefined;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly answerTimeoutMs: number;
  readonly metrics: Metrics;
  readonly log: Log;
}

export function openUpstream(options: UpstreamOptions): Upstream {
  const { name, label = name, endpoints, credentials, rate, answerTimeoutMs, parallel, log } = options;
  const throttle = rate === undefined ? undefined : new Throttle(rate);
  const logins = openLogins(credentials, { name, log }).filter((login) => login !== anonymous);
  const registry = endpoints.at(-1) as URL;
  const clients = endpoints.map((url) => {
    const transport = openTransport({ ...options, label }, { url, throttle });
    const shown = mayKnow(url, registry) ? logins : [];
    return new RegistryClient(openEndpoint({ ...options, label }, { url, transport, logins: shown }));
  });
  return new Endpoints({ name, label, answerTimeoutMs, parallel, clients });
}

type LabelledOptions = UpstreamOptions & { readonly label: string };

export function openTransport(
  { name, label, allowPrivate, ca, connections, metrics, ...timeouts }: LabelledOptions,
  { url, throttle }: { url: URL; throttle: Throttle | undefined },
): Transport {
  const { connectTimeoutMs, headersTimeoutMs, idleTimeoutMs } = timeouts;
  return new Transport({
    name,
    label,
    guard: new AddressGuard({ name, endpoint: url, allowPrivate, isOpenWorld: label === unlisted }),
    throttle,
    connections,
    connectTimeoutMs,
    headersTimeoutMs,
    idleTimeoutMs,
    ca,
    metrics,
  });
}

/** Credentials are the registry's: of other mirrors only its owner's own may see them, and not in the clear. */
export function mayKnow(url: URL, registry: URL): boolean {
  return sameOwner(url.hostname, registry.hostname) && (url.protocol === 'https:' || registry.protocol === 'http:');
}

interface EndpointParts {
  readonly url: URL;
  readonly transport: Transport;
  readonly logins: readonly Login[];
}

function openEndpoint(
  { name, connections, realms = [], answerTimeoutMs, log }: LabelledOptions,
  { url, transport, logins }: EndpointParts,
): Endpoint {
  const circuitOf = (endpoint: string) => {
    const circuit: Circuit = new Circuit({
      onChange: (isOpen) => {
        if (isOpen) log.warn({ upstream: name, endpoint, problem: circuit.problem }, 'rests: it is asked now and then');
        else log.info({ upstream: name, endpoint }, 'is back');
      },
    });
    return circuit;
  };
  const address = addressOf(url);
  const tokenCircuit = circuitOf(`token server of ${address}`);
  // Who has no login may be limited sooner: that must not keep tokens from those who have one.
  const anonymousTokenCircuit = logins.length === 0 ? tokenCircuit : new Circuit();
  const session = (login: Login) => ({
    authenticator: new Authenticator({
      name,
      endpoint: url,
      login,
      realms,
      transport,
      circuit: login === anonymous ? anonymousTokenCircuit : tokenCircuit,
      // Before who asked runs out of patience, so that it is the token server that is blamed.
      timeoutMs: Math.ceil(answerTimeoutMs * 0.9),
      onRefused: (problem) => log.warn({ upstream: name, credential: login.id, problem }, 'a login rests'),
    }),
    limits: new Limits({ credential: login.id }),
  });
  const sessions = new Sessions(logins.map(session), session(anonymous));
  return new Endpoint({ name, url, connections, transport, sessions, circuit: circuitOf(address), tokenCircuit });
}
