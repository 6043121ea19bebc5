// Answers from the cache that are given again ahead of the router: what the ordinary way would say, at a fraction of its cost.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { AddressPlaces } from '../access/address-places.ts';
import type { TrustedProxies } from '../access/client-address.ts';
import type { Principal } from '../access/principal.ts';
import type { Metrics } from '../observe/metrics.ts';
import { unlisted } from '../upstream/upstream.ts';
import type { Source, Upstreams } from '../upstream/upstreams.ts';
import { addressOf, callerAt, isKnown } from './caller.ts';
import type { Exchange } from './exchange.ts';
import { type Gate, isAdmitted } from './gate.ts';
import { type HotAnswer, hotBlob, hotManifest, type KeptBlob, type KeptManifest, type Prepared } from './hot-answer.ts';
import type { PullPath } from './pull-path.ts';
import type { RequestLog } from './request-log.ts';
import { sendContent } from './send-content.ts';
import type { Sendfile } from './sendfile.ts';

export interface HotAnswersOptions extends Gate {
  readonly proxies: TrustedProxies;
  /** Those that every other request takes, too. */
  readonly places: AddressPlaces;
  readonly upstreams: Pick<Upstreams, 'route'>;
  readonly metrics: Metrics;
  readonly log: RequestLog;
  readonly sendfile?: (() => Sendfile | undefined) | undefined;
}

interface Kept {
  readonly path: PullPath;
  readonly source: Source;
  readonly answer: HotAnswer;
}

/** Whoever may be answered, from where, and with what. */
interface Ready {
  readonly kept: Kept;
  readonly address: string;
  readonly principal: Principal;
  readonly prepared: Prepared;
  readonly leave: () => void;
}

const mostKept = 10_000;
const longestTarget = 1024;
/** HTTP/1.0 has no Host field. */
const nameless = 'localhost';
/** As clients write one; what is stranger is looked at where all others are. */
const plainHost = /^[a-z0-9._-]+(?::(?:[1-5]\d{3,4}|[6-9]\d{3}))?$/;

/**
 * Nothing of an answer is believed to have stayed: who may have it, whether it still holds and where its bytes are is
 * asked anew each time. All that takes no wait; whatever would is left to the router.
 */
export class HotAnswers {
  readonly #options: HotAnswersOptions;
  /** By the raw target of the request. */
  readonly #kept = new LRUCache<string, Kept>({ max: mostKept });

  constructor(options: HotAnswersOptions) {
    this.#options = options;
  }

  keepManifest(exchange: Exchange, source: Source, manifest: KeptManifest): void {
    this.#keep(exchange, source, (fields) => hotManifest(manifest, fields));
  }

  keepBlob(exchange: Exchange, source: Source, blob: KeptBlob): void {
    this.#keep(exchange, source, (fields) => hotBlob(blob, fields));
  }

  /** `false`: nothing was written, nothing is held, and the request is the router's. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const startedAt = performance.now();
    const kept = this.#kept.get(incoming.url ?? '');
    if (!kept || !isPlain(incoming) || !isInTurn(outgoing)) return false;
    const ready = this.#ready(kept, incoming);
    if (!ready) return false;
    this.#send({ incoming, outgoing }, ready, startedAt);
    return true;
  }

  #keep(exchange: Exchange, source: Source, make: (fields: Record<string, string>) => HotAnswer): void {
    const { url = '' } = exchange.env.incoming;
    const path = exchange.get('path');
    if (!path || url.length > longestTarget) return;
    if (![...path.query.keys()].every((key) => key === 'ns')) return;
    const answer = make({
      'docker-distribution-api-version': 'registry/2.0',
      'oci-namespace': source.upstream.name,
    });
    this.#kept.set(url, { path, source, answer });
  }

  /** What fails here fails there as well, and is told there. */
  #ready(kept: Kept, incoming: IncomingMessage): Ready | undefined {
    const { proxies, access, places } = this.#options;
    try {
      const address = addressOf(incoming, proxies);
      const principal = access.identify(callerAt(address, incoming));
      if (principal instanceof Promise || !isKnown(principal, access)) return undefined;
      if (!isAdmitted(this.#options, principal, kept.source) || !this.#isRouted(kept)) return undefined;
      if (!kept.answer.lasting.holds()) {
        this.#kept.delete(incoming.url ?? '');
        return undefined;
      }
      const prepared = kept.answer.prepare(incoming);
      if (!prepared) return undefined;
      const leave = places.take(address);
      if (leave) return { kept, address, principal, prepared, leave };
      void prepared.content?.content.close();
    } catch {}
    return undefined;
  }

  /** An upstream that the configuration does not name may have been closed, and is kept by being asked for. */
  #isRouted({ path: { target, ns, prefix }, source: { upstream } }: Kept): boolean {
    if (upstream.label !== unlisted || !('name' in target)) return true;
    return this.#options.upstreams.route(target.name, { ns, prefix }).upstream === upstream;
  }

  #send(
    { incoming, outgoing }: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
    { kept: { path, source, answer }, address, principal, prepared, leave }: Ready,
    startedAt: number,
  ): void {
    const { log, metrics, sendfile } = this.#options;
    const { status, headers, body, content } = prepared;
    let sentBytes = 0;
    let headAt: number | undefined;
    const gone = content && new AbortController();
    const onSent = (bytes: number) => {
      metrics.servedBytes.inc({ outcome: 'hit' }, bytes);
      sentBytes += bytes;
    };
    outgoing.once('close', () => {
      leave();
      if (!outgoing.writableFinished) gone?.abort(new Error('the client is gone'));
      const told = { startedAt, path, source, address, principal, headAt, sentBytes, outcome: 'hit' } as const;
      log.write({ incoming, outgoing }, told);
    });
    if (incoming.method === 'GET' || answer.isUsedByHead) answer.lasting.used();
    outgoing.writeHead(status, headers);
    if (!content || !gone) {
      if (body) onSent(body.length);
      outgoing.end(body);
      return;
    }
    headAt = performance.now();
    void sendContent(outgoing, content.content, content.range, gone.signal, onSent, sendfile?.()).finally(() =>
      content.content.close(),
    );
  }
}

/** A GET or HEAD without a body, from whoever shows no credentials: to look at those takes time. */
function isPlain({ method, headers }: IncomingMessage): boolean {
  return (
    (method === 'GET' || method === 'HEAD') &&
    headers.authorization === undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    plainHost.test(headers.host ?? nameless)
  );
}

/** While an earlier answer of its connection runs, this one has no socket. */
function isInTurn({ socket, destroyed }: ServerResponse): boolean {
  return socket !== null && !socket.destroyed && !destroyed;
}
