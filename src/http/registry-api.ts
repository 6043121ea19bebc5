// The registry listener: every request to /v2/, in the order of the spec, and the page at /.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AddressPlaces } from '../access/address-places.ts';
import type { TrustedProxies } from '../access/client-address.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { OciError } from '../oci/errors.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Accel } from './accel.ts';
import { sendBlob } from './blobs.ts';
import { findAddress, identifyCaller } from './caller.ts';
import { errorAnswer } from './errors.ts';
import type { Exchange, ExchangeEnv } from './exchange.ts';
import { admit, type Gate, mayList } from './gate.ts';
import { HotAnswers } from './hot-answers.ts';
import { sendCatalog, sendReferrers, sendTags } from './listings.ts';
import { sendManifest } from './manifests.ts';
import { type PullPath, parsePullPath } from './pull-path.ts';
import { RequestLog, requestLog } from './request-log.ts';
import { requestsInFlight } from './requests-in-flight.ts';
import type { Sendfile } from './sendfile.ts';
import { challengeOf, sendToken, tokenPath } from './token-endpoint.ts';
import { takeTurns } from './turn.ts';
import { welcome } from './welcome.ts';

export interface RegistryOptions extends Gate {
  readonly proxies: TrustedProxies;
  /** Requests of one client address at the same time at most. */
  readonly mostInFlight: number;
  /** How many answers are kept to be given again; many, if not given. */
  readonly mostHot?: number | undefined;
  readonly mirror: Mirror;
  /** The nginx in front that can send stored blobs itself. */
  readonly accel?: Accel | undefined;
  readonly upstreams: Upstreams;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Sends files past the process, as soon as there is one. */
  readonly sendfile?: (() => Sendfile | undefined) | undefined;
}

export interface RegistryListener {
  readonly app: Hono<ExchangeEnv>;
  /** Answers what it can at once, ahead of the app; else does nothing. */
  readonly before: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
}

export function registryListener(options: RegistryOptions): RegistryListener {
  const log = new RequestLog(options.log, options.metrics);
  const places = new AddressPlaces({ most: Number.POSITIVE_INFINITY, mostEach: options.mostInFlight });
  const hot = new HotAnswers({ ...options, log, places });
  const app = registryApp({ ...options, log, places, hot });
  return { app, before: (incoming, outgoing) => hot.answer(incoming, outgoing) };
}

interface AppParts extends Omit<RegistryOptions, 'log'> {
  readonly log: RequestLog;
  readonly places: AddressPlaces;
  readonly hot: HotAnswers;
}

function registryApp(options: AppParts): Hono<ExchangeEnv> {
  const { mirror, upstreams, log, access, proxies, places } = options;
  const api = new Hono<ExchangeEnv>();
  api.use(takeTurns(), findAddress(proxies), requestLog(log));
  api.use(requestsInFlight({ places, addressOf: (exchange) => exchange.get('address') }));
  api.use((exchange, next) => {
    exchange.env.outgoing.setHeader('docker-distribution-api-version', 'registry/2.0');
    return next();
  });
  if (access.asksForCredentials) api.get(tokenPath, (exchange) => sendToken(exchange, access));
  api.use(identifyCaller(access));
  api.get('/', (exchange, next) => (isRoot(exchange) ? welcome(exchange, upstreams.names) : next()));
  api.all('*', (exchange) => {
    const path = parsePullPath(exchange.env.incoming.url ?? '/');
    if (!path) return exchange.notFound();
    exchange.set('path', path);
    return answer(exchange, path);
  });

  async function answer(exchange: Exchange, path: PullPath): Promise<Response> {
    const { target, ns, prefix } = path;
    const named = 'name' in target ? upstreams.route(target.name, { ns, prefix }) : undefined;
    const registry = named?.upstream.name ?? upstreams.named({ ns, prefix });
    exchange.set('source', named);
    exchange.env.outgoing.setHeader('oci-namespace', registry);
    if (!isRead(exchange) || target.kind === 'upload')
      throw new OciError('UNSUPPORTED', `this is a pull-through mirror: push to ${registry} itself`);
    if (target.kind === 'ping') return exchange.json({});
    if (target.kind === 'catalog') {
      const isListed = (name: string) => mayList(exchange, options, name);
      return sendCatalog(exchange, mirror, { path, isListed });
    }
    if (!named) return exchange.notFound();
    const source = await admit(exchange, options, named);
    if (target.kind === 'manifest') return sendManifest(exchange, options, source, target.reference);
    if (target.kind === 'blob') return sendBlob(exchange, options, source, target.digest);
    if (target.kind === 'tags') return sendTags(exchange, mirror, source, target.name, path);
    return sendReferrers(exchange, mirror, source, target.digest, path);
  }

  api.notFound((exchange) => exchange.text('There is nothing here; the registry API is under /v2/.\n', 404));
  api.onError((error, exchange) => {
    exchange.set('error', error);
    const { status, body } = errorAnswer(error, exchange.get('path')?.target.kind);
    if (status === 405) exchange.header('allow', 'GET, HEAD');
    if (status === 401) exchange.header('www-authenticate', challengeOf(exchange, proxies));
    return exchange.json(body, status as ContentfulStatusCode);
  });
  return api;
}

/** By the raw target: hono's path is tidied up, and `/x/..` is not ours. */
function isRoot(exchange: Exchange): boolean {
  return /^\/(?:\?|$)/.test(exchange.env.incoming.url ?? '');
}

function isRead(exchange: Exchange): boolean {
  const { method } = exchange.env.incoming;
  return method === 'GET' || method === 'HEAD';
}
