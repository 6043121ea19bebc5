// Images pulled before anyone asks: a few at once, by the same way as a client's pulls, and behind all of these.
import type { Manifests } from '../../mirror/manifests.ts';
import { Slots } from '../../mirror/slots.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { formatImage, parseImageName } from '../../oci/image-name.ts';
import { hostPlatform } from '../../oci/platform.ts';
import type { Source } from '../../upstream/upstreams.ts';
import { type Every, LayerReports } from './layer-reports.ts';
import { clientsServed, type FillsInFlight, objectionTo } from './patience.ts';
import type {
  ImageEvent,
  PlatformWish,
  PrefetchEvent,
  PrefetchRequest,
  PrefetchStatus,
  PrefetchSummary,
} from './prefetch-event.ts';
import { ImagePrefetch, type PrefetchMirror } from './prefetch-image.ts';
import { Retries, type Wait } from './retries.ts';

export type {
  ImageEvent,
  LayerEvent,
  PlatformWish,
  PrefetchEvent,
  PrefetchRequest,
  PrefetchStatus,
  PrefetchSummary,
} from './prefetch-event.ts';

export interface PrefetcherOptions {
  readonly mirror: PrefetchMirror;
  readonly manifests: Pick<Manifests, 'stored'>;
  readonly fills: FillsInFlight;
  /** Of a repository's name, as private as if a client who may see it had asked. Throws `OciError` as a route does. */
  readonly sourceOf: (name: string, signal: AbortSignal) => Promise<Source>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'prefetchImages'>;
  /** For waits, and for the progress of layers, that tests hold in their hands. */
  readonly wait?: Wait;
  readonly every?: Every;
}

export interface PrefetchOptions {
  /** Fills that were begun for it and that nobody else has joined end with it; their bytes wait for the next time. */
  readonly signal: AbortSignal;
  readonly onEvent?: (event: PrefetchEvent) => void;
}

interface Run {
  readonly id: string;
  readonly request: PrefetchRequest;
  readonly startedAt: number;
  readonly reports: LayerReports;
  readonly slots: Slots;
  readonly retries: Retries;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PrefetchEvent) => void;
  /** Begun, with registry and tag: people write one image in several ways. */
  readonly begun: Set<string>;
  /** As many as are known to be different. */
  images: number;
  done: number;
  failed: number;
  /** Of images that are over, manifests included. */
  bytes: number;
}

/** At once, in one prefetch. */
const mostImages = 2;
const mostBlobs = 6;

export class Prefetcher {
  readonly #options: PrefetcherOptions;
  readonly #runs = new Set<Run>();
  #lastId = 0;

  constructor(options: PrefetcherOptions) {
    this.#options = options;
  }

  /** Never rejects for an image that fails: an event says so. Ends early, without its last event, when the signal fires. */
  async run(request: PrefetchRequest, { signal, onEvent = () => {} }: PrefetchOptions): Promise<PrefetchSummary> {
    const { every, wait, log } = this.#options;
    const texts = new Set(request.images);
    const run: Run = {
      id: String(++this.#lastId),
      request: { ...request, platforms: wishOf(request.platforms) },
      startedAt: Date.now(),
      reports: new LayerReports({ onEvent, every }),
      slots: new Slots(mostBlobs),
      retries: new Retries(wait),
      ...{ signal, onEvent, begun: new Set(), images: texts.size, done: 0, failed: 0, bytes: 0 },
    };
    this.#runs.add(run);
    try {
      const images = texts.values();
      await Promise.all(Array.from({ length: mostImages }, () => this.#prefetch(run, images)));
    } finally {
      this.#runs.delete(run);
      run.reports.close();
    }
    const summary = { images: run.done + run.failed, failed: run.failed, bytes: run.bytes };
    if (!signal.aborted) onEvent({ type: 'done', ...summary });
    const about = { ...summary, isScheduled: request.isPatient, isEndedEarly: signal.aborted };
    log.info(about, 'a prefetch is over');
    return summary;
  }

  /** Those that run now. */
  status(): readonly PrefetchStatus[] {
    return [...this.#runs].map(({ id, request, startedAt, images, done, failed, reports }) => ({
      ...{ id, startedAt, images, done, failed },
      receivedBytes: reports.fetchedBytes,
      isScheduled: request.isPatient,
    }));
  }

  async #prefetch(run: Run, images: Iterable<string>): Promise<void> {
    for (const text of images) {
      if (run.signal.aborted) return;
      try {
        await this.#image(run, text);
      } catch (error) {
        if (run.signal.aborted) return;
        this.#tell(run, { type: 'image', image: text, state: 'failed', error: (error as Error).message });
      }
    }
  }

  async #image(run: Run, text: string): Promise<void> {
    const { sourceOf, mirror, manifests, fills, wait } = this.#options;
    const { signal, reports, slots, retries } = run;
    const { platforms, isPatient } = run.request;
    const { name, reference } = parseImageName(text);
    const source = await sourceOf(name, signal);
    const image = formatImage(source.repository, reference);
    if (run.begun.has(image)) {
      run.images--;
      return;
    }
    run.begun.add(image);
    if (await this.#isSkipped(run, source, image)) return;
    this.#tell(run, { type: 'image', image, state: 'started' });
    const mayBegin = isPatient ? () => clientsServed(fills, signal, wait) : async () => {};
    const objection = () => (isPatient ? objectionTo(source.upstream) : undefined);
    const about = { mirror, manifests, source, reference, platforms, reports, slots, retries, mayBegin, objection };
    const { digest, platforms: found, bytes, error, isSkipped } = await new ImagePrefetch({ ...about, signal }).run();
    run.bytes += bytes;
    const result = { ...(digest && { digest }), ...(error !== undefined && { error }), platforms: found, bytes };
    const ended = error === undefined ? 'done' : 'failed';
    this.#tell(run, { type: 'image', image, state: isSkipped ? 'skipped' : ended, ...result });
  }

  async #isSkipped(run: Run, source: Source, image: string): Promise<boolean> {
    if (!run.request.isPatient) return false;
    await clientsServed(this.#options.fills, run.signal, this.#options.wait);
    const objection = objectionTo(source.upstream);
    if (objection === undefined) return false;
    this.#tell(run, { type: 'image', image, state: 'skipped', error: objection });
    return true;
  }

  #tell(run: Run, event: ImageEvent): void {
    const { log, metrics } = this.#options;
    const { state, image, error } = event;
    if (state === 'failed') run.failed++;
    else if (state !== 'started') run.done++;
    if (state !== 'started') metrics.prefetchImages.inc({ result: state });
    if (state === 'failed') log.warn({ image, error }, 'an image was not prefetched');
    else if (state === 'skipped') log.info({ image, why: error }, 'an image is not prefetched this time');
    run.onEvent(event);
  }
}

/** Who wishes for none wants what runs here. */
function wishOf(platforms: PlatformWish): PlatformWish {
  return platforms === 'all' || platforms.length > 0 ? platforms : [hostPlatform()];
}
