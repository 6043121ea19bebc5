// Answers from the cache that are given again ahead of the router: what the ordinary way would say, at a fraction of its cost.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { AddressPlaces } from '../access/address-places.ts';
import type { TrustedProxies } from '../access/client-address.ts';
import type { Principal } from '../access/principal.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Content } from '../store/content.ts';
import { unlisted } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { addressOf, callerAt, isKnown } from './caller.ts';
import type { Exchange } from './exchange.ts';
import { type Gate, isAdmitted } from './gate.ts';
import { type HotAnswer, isPlain, isPlainTarget, withFields } from './hot-answer.ts';
import type { PullPath } from './pull-path.ts';
import type { RequestLog } from './request-log.ts';
import { sendContent } from './send-content.ts';
import type { Sendfile } from './sendfile.ts';

export interface HotAnswersOptions extends Gate {
  readonly proxies: TrustedProxies;
  /** Those that every other request takes, too. */
  readonly places: AddressPlaces;
  readonly metrics: Metrics;
  readonly log: RequestLog;
  readonly sendfile?: (() => Sendfile | undefined) | undefined;
  /** Those that were asked for last. */
  readonly mostHot?: number | undefined;
}

interface Kept extends HotAnswer {
  readonly path: PullPath;
  readonly source: Source;
}

/** An answer whose head is written, and what follows. */
interface Begun {
  readonly address: string;
  readonly principal: Principal;
  readonly leave: () => void;
  readonly body: Uint8Array | { readonly content: Content; readonly range: ByteRange } | undefined;
}

const usualMostHot = 10_000;

/**
 * Nothing of an answer is believed to have stayed: who may have it, whether it still holds and where its bytes are is
 * asked anew each time. All that takes no wait; whatever would is left to the router.
 */
export class HotAnswers {
  readonly #options: HotAnswersOptions;
  /** By the raw target of the request. */
  readonly #kept: LRUCache<string, Kept>;

  constructor(options: HotAnswersOptions) {
    this.#options = options;
    this.#kept = new LRUCache({ max: options.mostHot ?? usualMostHot });
  }

  /** For the next who asks as plainly, if it could be given to whoever asks now. */
  keep(exchange: Exchange, source: Source, answer: HotAnswer): void {
    const { incoming } = exchange.env;
    const { url = '' } = incoming;
    const path = exchange.get('path');
    if (!path || !isPlain(incoming) || !isPlainTarget(url)) return;
    // One that the configuration does not name is closed when others are asked for, and kept by being asked for.
    if (source.upstream.label === unlisted) return;
    if (!isAdmitted(this.#options, exchange.get('principal'), source) || !answer.lasting.holds()) return;
    const body = answer.lasting.body();
    if (!body) return;
    close(body);
    const fields = { 'docker-distribution-api-version': 'registry/2.0', 'oci-namespace': source.upstream.name };
    this.#kept.set(url, { ...withFields(answer, fields), path, source });
  }

  /** `false`: nothing was written, nothing is held, and the request is the router's. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const startedAt = performance.now();
    const kept = this.#kept.get(incoming.url ?? '');
    // While an earlier answer of its connection runs, this one has no socket.
    if (!kept || !isPlain(incoming) || !outgoing.socket) return false;
    const begun = this.#begin(kept, incoming, outgoing);
    if (begun) this.#go({ incoming, outgoing }, { kept, startedAt, ...begun });
    return begun !== undefined;
  }

  #begin(kept: Kept, incoming: IncomingMessage, outgoing: ServerResponse): Begun | undefined {
    const { proxies, access, places } = this.#options;
    const { source, lasting } = kept;
    let found: Uint8Array | Content | undefined;
    let leave: (() => void) | undefined;
    try {
      const address = addressOf(incoming, proxies);
      const principal = access.identify(callerAt(address, incoming));
      if (principal instanceof Promise || !isKnown(principal, access)) return undefined;
      if (!isAdmitted(this.#options, principal, source) || !lasting.holds()) return undefined;
      const isGet = incoming.method === 'GET';
      if (isGet || kept.isUsedByHead) lasting.used();
      found = lasting.body();
      leave = found && places.take(address);
      if (found && leave) {
        const { status, headers, range } = kept.headFor(incoming.headers);
        outgoing.writeHead(status, headers);
        return { address, principal, leave, body: partOf(found, isGet ? range : undefined) };
      }
      // What fails here fails on the ordinary way as well, and is told there.
    } catch {}
    leave?.();
    close(found);
    return undefined;
  }

  #go(
    { incoming, outgoing }: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
    { kept, startedAt, address, principal, leave, body }: Begun & { readonly kept: Kept; readonly startedAt: number },
  ): void {
    const { log, metrics, sendfile } = this.#options;
    const { path, source } = kept;
    const headAt = performance.now();
    let sentBytes = 0;
    const onSent = (bytes: number) => {
      metrics.servedBytes.inc({ outcome: 'hit' }, bytes);
      sentBytes += bytes;
    };
    const streamed = body instanceof Uint8Array ? undefined : body;
    const gone = streamed && new AbortController();
    outgoing.once('close', () => {
      leave();
      if (!outgoing.writableFinished) gone?.abort(new Error('the client is gone'));
      const told = { startedAt, path, source, address, principal, headAt, sentBytes, outcome: 'hit' } as const;
      log.write({ incoming, outgoing }, told);
    });
    if (streamed && gone) {
      const { content, range } = streamed;
      void sendContent(outgoing, content, range, gone.signal, onSent, sendfile?.()).finally(() => content.close());
      return;
    }
    if (body instanceof Uint8Array) onSent(body.length);
    outgoing.end(body);
  }
}

/** Without a range nothing of it is sent. */
function partOf(found: Uint8Array | Content, range: ByteRange | undefined): Begun['body'] {
  if (range && !(found instanceof Uint8Array)) return { content: found, range };
  close(found);
  return range && found instanceof Uint8Array ? found.subarray(range.start, range.end + 1) : undefined;
}

function close(body: Uint8Array | Content | undefined): void {
  if (body && !(body instanceof Uint8Array)) void body.close();
}
