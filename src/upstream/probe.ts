// Whether a registry answers from here and takes the credentials that are configured: asked once, past what rests and waits.
import { manifestAccept } from '../oci/media-types.ts';
import { type Challenge, parseChallenges } from './auth/challenge.ts';
import { checkRealm } from './auth/realm.ts';
import { requestToken } from './auth/token-request.ts';
import { basicAuthorization, type Credentials } from './credentials/credentials.ts';
import { anonymous, type Login, noCredentials, refusedCredentials } from './credentials/login.ts';
import { openLogins } from './credentials/logins.ts';
import { addressOf } from './endpoint.ts';
import { mayKnow, openTransport, type UpstreamOptions } from './open-upstream.ts';
import { parseQuota } from './rate-limit.ts';
import { statusError } from './status-error.ts';
import type { Transport, UpstreamResponse } from './transport.ts';
import { UpstreamError, type UpstreamFailure } from './upstream.ts';

export interface EndpointProbe {
  readonly endpoint: string;
  /** Why it is of no use from here; `undefined`: it answered as a registry does. */
  readonly problem: ProbeProblem | undefined;
  /** How far its clock is ahead of ours, as its Date header says. */
  readonly clockAheadMs: number | undefined;
  /** Those that it may be shown; of nobody, where there are none. Empty after a problem. */
  readonly logins: readonly LoginProbe[];
}

export interface ProbeProblem {
  readonly failure: UpstreamFailure;
  readonly step: 'dns' | 'connect' | 'tls' | 'answer';
  /** No part of it is a secret. */
  readonly message: string;
}

export interface LoginProbe {
  /** `anonymous`, or its place in the configuration, from `1`. */
  readonly credential: string;
  /** `unasked`: the registry has not asked who we are, so that nothing was shown. */
  readonly verdict: 'accepted' | 'refused' | 'unasked' | 'unknown';
  /** Why it was refused, or cannot be told. */
  readonly problem: ProbeProblem | undefined;
  /** Pulls that are left; `undefined` where the registry tells of none. */
  readonly remaining: number | undefined;
  readonly limit: number | undefined;
}

interface Visit {
  readonly name: string;
  readonly url: URL;
  readonly realms: readonly string[];
  readonly transport: Transport;
  readonly signal: AbortSignal;
}

/**
 * https://docs.docker.com/docker-hub/usage/pulls/#view-pull-rate-and-limit: a HEAD of it tells what is left, and takes
 * none.
 */
const hubPreview = { registry: 'docker.io', path: 'ratelimitpreview/test' };

/** Never rejects for what a registry does. */
export function probeUpstream(options: UpstreamOptions, signal: AbortSignal): Promise<readonly EndpointProbe[]> {
  const { name, endpoints, credentials, realms = [], log } = options;
  const logins = openLogins(credentials, { name, log });
  const registry = endpoints.at(-1) as URL;
  return Promise.all(
    endpoints.map(async (url) => {
      const transport = openTransport({ ...options, label: name }, { url, throttle: undefined });
      try {
        return await probeEndpoint(
          { name, url, realms, transport, signal },
          mayKnow(url, registry) ? logins : [anonymous],
        );
      } finally {
        await transport.close();
      }
    }),
  );
}

async function probeEndpoint(visit: Visit, logins: readonly Login[]): Promise<EndpointProbe> {
  const endpoint = addressOf(visit.url);
  let clockAheadMs: number | undefined;
  try {
    const sentAt = Date.now();
    const response = await ask(visit, '');
    const toldAt = Date.parse(response.header('date') ?? '');
    if (!Number.isNaN(toldAt)) clockAheadMs = toldAt - (sentAt + Date.now()) / 2;
    if (response.status !== 200 && response.status !== 401) throw await statusError(visit.name, '/v2/', response);
    response.discard();
    const challenges = response.status === 401 ? parseChallenges(response.header('www-authenticate') ?? '') : [];
    const probed = await Promise.all(logins.map((login) => probeLogin(visit, login, challenges)));
    return { endpoint, problem: undefined, clockAheadMs, logins: probed };
  } catch (error) {
    return { endpoint, problem: problemOf(error), clockAheadMs, logins: [] };
  }
}

async function probeLogin(visit: Visit, login: Login, challenges: readonly Challenge[]): Promise<LoginProbe> {
  const told = { credential: login.id, problem: undefined, remaining: undefined, limit: undefined };
  try {
    const credentials = await login.credentials();
    if (!credentials && login !== anonymous) throw noCredentials(visit.name, 'there are none for it');
    const authorization = await authorize(visit, credentials, challenges);
    if (challenges.length > 0 && credentials && authorization === undefined)
      throw new UpstreamError('protocol', `upstream ${visit.name} asks for no kind of credentials that we have`);
    const shown = authorization === undefined ? undefined : await show(visit, authorization, credentials);
    return { ...told, ...shown, verdict: authorization === undefined ? 'unasked' : 'accepted' };
  } catch (error) {
    const problem = problemOf(error);
    // ghcr.io's token server says 403 to a password that is no good.
    const isRefused = problem.failure === 'login' || (problem.failure === 'denied' && login !== anonymous);
    return { ...told, problem, verdict: isRefused ? 'refused' : 'unknown' };
  }
}

/** What to send; `undefined` where nothing that we have was asked for. */
async function authorize(
  { name, url, realms, transport, signal }: Visit,
  credentials: Credentials | undefined,
  challenges: readonly Challenge[],
): Promise<string | undefined> {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer) {
    const realm = checkRealm(bearer.parameters.realm ?? '', credentials, { name, endpoint: url, realms });
    const { service } = bearer.parameters;
    const scope = name === hubPreview.registry ? `repository:${hubPreview.path}:pull` : undefined;
    try {
      const { token } = await requestToken({ name, realm, service, scope, credentials, transport, signal });
      return `Bearer ${token}`;
    } catch (error) {
      // Not all token servers give strangers something for nothing in particular; that they answer is enough.
      if (!credentials && scope === undefined && strangersNos.has(problemOf(error).failure)) return undefined;
      throw error;
    }
  }
  if (!credentials || !challenges.some(({ scheme }) => scheme === 'basic')) return undefined;
  if (!('identityToken' in credentials)) return basicAuthorization(credentials);
  throw new UpstreamError('login', `upstream ${name} wants a password, and its credentials are an identity token`);
}

const strangersNos: ReadonlySet<UpstreamFailure> = new Set(['unauthorized', 'denied', 'protocol']);

async function show(visit: Visit, authorization: string, credentials: Credentials | undefined) {
  const { name } = visit;
  const isHub = name === hubPreview.registry;
  const response = await ask(visit, isHub ? `${hubPreview.path}/manifests/latest` : '', authorization);
  response.discard();
  const isRefused = response.status === 401 || response.status === 403;
  if (credentials && isRefused) throw refusedCredentials(name, `it answered ${response.status}`);
  if (!isHub) return {};
  const remaining = parseQuota(response.header('ratelimit-remaining'))?.count;
  return {
    remaining: response.status === 429 ? 0 : remaining,
    limit: parseQuota(response.header('ratelimit-limit'))?.count,
  };
}

function ask(
  { url, transport, signal }: Visit,
  target: string,
  authorization?: string | undefined,
): Promise<UpstreamResponse> {
  const asked = new URL(`${url.href.replace(/\/+$/, '')}/v2/${target}`);
  const method = target === '' ? 'GET' : 'HEAD';
  return transport.send({
    kind: 'token',
    method,
    url: asked,
    authorization,
    headers: { accept: manifestAccept },
    signal,
  });
}

/** Node's and c-ares' names of what the DNS says. */
const dnsCode = /^(ENOTFOUND|EAI_\w+|ENODATA|ESERVFAIL|EREFUSED|ETIMEOUT|EBADNAME|EFORMERR|ENOTIMP)$/;
const tlsCode = /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO|HOSTNAME_)/;

function problemOf(error: unknown): ProbeProblem {
  if (!(error instanceof UpstreamError)) throw error;
  const { failure, message, cause } = error;
  const code = String((cause as { code?: unknown } | undefined)?.code ?? '');
  if (failure !== 'unreachable' && failure !== 'timeout') return { failure, step: 'answer', message };
  const step = dnsCode.test(code) ? 'dns' : tlsCode.test(code) ? 'tls' : 'connect';
  return { failure, step: /UND_ERR_(HEADERS|BODY)_TIMEOUT/.test(code) ? 'answer' : step, message };
}
