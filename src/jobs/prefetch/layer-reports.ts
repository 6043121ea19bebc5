// How the blobs of a prefetch come along, told a few times a second each.
import type { Descriptor } from '../../oci/descriptor.ts';
import type { LayerEvent } from './prefetch-event.ts';

/** A blob on its way; it may begin again. */
export interface Arrival {
  readonly receivedBytes: number;
  /** It comes for somebody else all the same. */
  readonly isJoined: boolean;
}

/** Calls back until the returned function is called. */
export type Every = (ms: number, work: () => void) => () => void;

export interface LayerReportsOptions {
  readonly onEvent: (event: LayerEvent) => void;
  readonly every?: Every | undefined;
}

const tickMs = 200;

export class LayerReports {
  readonly #options: LayerReportsOptions;
  readonly #arriving = new Set<LayerReport>();
  #fetchedBytes = 0;
  #stop: (() => void) | undefined;

  constructor(options: LayerReportsOptions) {
    this.#options = options;
  }

  /** Written for these layers, without what came for others. */
  get fetchedBytes(): number {
    return [...this.#arriving].reduce((sum, { fetchedBytes }) => sum + fetchedBytes, this.#fetchedBytes);
  }

  begin(image: string, blob: Descriptor): LayerReport {
    const { onEvent, every = interval } = this.#options;
    const report: LayerReport = new LayerReport(image, blob, {
      onEvent,
      onArriving: () => {
        this.#arriving.add(report);
        this.#stop ??= every(tickMs, () => {
          for (const arriving of this.#arriving) arriving.tell();
        });
      },
      onEnd: () => {
        this.#arriving.delete(report);
        this.#fetchedBytes += report.fetchedBytes;
      },
    });
    return report;
  }

  /** Nothing is told of progress any more. */
  close(): void {
    this.#stop?.();
  }
}

interface LayerReportOptions {
  readonly onEvent: (event: LayerEvent) => void;
  readonly onArriving: () => void;
  readonly onEnd: () => void;
}

export class LayerReport {
  readonly #image: string;
  readonly #blob: Descriptor;
  readonly #options: LayerReportOptions;
  #arrival: Arrival | undefined;
  #told = 0;

  constructor(image: string, blob: Descriptor, options: LayerReportOptions) {
    this.#image = image;
    this.#blob = blob;
    this.#options = options;
    this.#say('waiting', 0);
  }

  get fetchedBytes(): number {
    return this.#arrival && !this.#arrival.isJoined ? this.#arrival.receivedBytes : 0;
  }

  arriving(arrival: Arrival): void {
    this.#arrival = arrival;
    this.#options.onArriving();
  }

  /** If there is news. */
  tell(): void {
    const { receivedBytes } = this.#arrival ?? { receivedBytes: 0 };
    if (receivedBytes !== this.#told) this.#say('arriving', receivedBytes);
  }

  done(state: 'done' | 'present'): void {
    this.#options.onEnd();
    this.#say(state, this.#blob.size);
  }

  failed(error: string): void {
    this.#options.onEnd();
    this.#say('failed', this.#arrival?.receivedBytes ?? 0, error);
  }

  /** Nobody wants to hear of it any more. */
  left(): void {
    this.#options.onEnd();
  }

  #say(state: LayerEvent['state'], receivedBytes: number, error?: string): void {
    this.#told = receivedBytes;
    const { digest, size: sizeBytes } = this.#blob;
    const about = { image: this.#image, digest, sizeBytes, receivedBytes, state };
    this.#options.onEvent({ type: 'layer', ...about, ...(error !== undefined && { error }) });
  }
}

function interval(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
