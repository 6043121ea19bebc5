// A prefetch as people watch it: a line for each layer on the way, as `docker pull` shows them, or a line for each change.
import { bar, printable, shortBytes, shortDigest, shortRate, shortTime } from './amounts.ts';
import type { PrefetchLine } from './answers.ts';

type ImageEvent = Extract<PrefetchLine, { type: 'image' }>;
type LayerEvent = Extract<PrefetchLine, { type: 'layer' }>;

interface Layer {
  readonly event: LayerEvent;
  /** Where the rate was measured from last. */
  readonly measuredAt: number;
  readonly measuredBytes: number;
  readonly bytesPerSecond: number;
}

interface Image {
  readonly startedAt: number;
  readonly layers: Map<string, Layer>;
}

const mostLines = 15;
const measureMs = 500;
const widestBar = 30;

export class PullProgress {
  readonly #now: () => number;
  readonly #running = new Map<string, Image>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What changed, for those who read lines; `undefined` for what is only more bytes. */
  apply(event: PrefetchLine): string | undefined {
    if (event.type === 'done') return undefined;
    if (event.type === 'image') return this.#applyImage(event);
    const layers = this.#imageOf(event.image).layers;
    const before = layers.get(event.digest);
    layers.set(event.digest, this.#measured(event, before));
    // To wait is no change.
    if (before?.event.state === event.state || event.state === 'waiting') return undefined;
    return `${event.image}: ${shortDigest(event.digest)}: ${this.#stateOf(event)}`;
  }

  /** What is on its way, for a terminal of so many columns. */
  lines(columns: number): readonly string[] {
    const lines: string[] = [];
    let rest = 0;
    for (const [image, { layers }] of this.#running) {
      const shown = [...layers.values()].filter(({ event }) => event.state !== 'present' || layers.size <= mostLines);
      if (lines.length + 1 + Math.min(shown.length, 1) > mostLines) {
        rest += shown.length + 1;
        continue;
      }
      lines.push(image);
      const room = mostLines - lines.length;
      const first = shown.length > room ? shown.toSorted(byUrgency).slice(0, room) : shown;
      lines.push(...first.map((layer) => layerLine(layer, columns)));
      rest += shown.length - first.length;
    }
    return rest > 0 ? [...lines, `… and ${rest} more`] : lines;
  }

  #applyImage({ image, state, error, bytes = 0 }: ImageEvent): string {
    if (state === 'started') {
      this.#imageOf(image);
      return `${image}: started`;
    }
    const took = this.#now() - this.#imageOf(image).startedAt;
    this.#running.delete(image);
    if (state === 'failed') return `${image}: failed: ${printable(error ?? 'the mirror does not say why')}`;
    if (state === 'skipped') return `${image}: skipped${error === undefined ? '' : `: ${printable(error)}`}`;
    return `${image}: done, ${bytes > 0 ? `${shortBytes(bytes)} fetched in ${shortTime(took)}` : 'all of it was here'}`;
  }

  #imageOf(name: string): Image {
    const image = this.#running.get(name) ?? { startedAt: this.#now(), layers: new Map() };
    this.#running.set(name, image);
    return image;
  }

  #measured(event: LayerEvent, before: Layer | undefined): Layer {
    const now = this.#now();
    if (before?.event.state !== 'arriving')
      return { event, measuredAt: now, measuredBytes: event.receivedBytes, bytesPerSecond: 0 };
    const ms = now - before.measuredAt;
    if (ms < measureMs) return { ...before, event };
    const latest = ((event.receivedBytes - before.measuredBytes) / ms) * 1000;
    const bytesPerSecond = before.bytesPerSecond === 0 ? latest : (before.bytesPerSecond + latest) / 2;
    return { event, measuredAt: now, measuredBytes: event.receivedBytes, bytesPerSecond: Math.max(0, bytesPerSecond) };
  }

  #stateOf({ state, sizeBytes, error }: LayerEvent): string {
    if (state === 'failed') return `failed: ${printable(error ?? 'the mirror does not say why')}`;
    return state === 'arriving' ? `arriving, ${shortBytes(sizeBytes)}` : words[state];
  }
}

const words = { waiting: 'waiting', arriving: 'arriving', done: 'done', present: 'already here', failed: 'failed' };
const urgency = { arriving: 0, failed: 1, waiting: 2, done: 3, present: 4 };

function byUrgency(one: Layer, other: Layer): number {
  return urgency[one.event.state] - urgency[other.event.state];
}

function layerLine({ event, bytesPerSecond }: Layer, columns: number): string {
  const { digest, state, sizeBytes, receivedBytes, error } = event;
  const name = `  ${shortDigest(digest)}  `;
  if (state === 'failed') return `${name}failed: ${printable(error ?? '')}`;
  if (state !== 'arriving') return `${name}${words[state].padEnd(12)}  ${shortBytes(sizeBytes)}`;
  const amounts = `${shortBytes(receivedBytes)} / ${shortBytes(sizeBytes)}  ${shortRate(bytesPerSecond)}`;
  const width = Math.min(widestBar, columns - name.length - amounts.length - 6);
  return `${name}${width >= 5 ? `${bar(receivedBytes, sizeBytes, width)}  ` : ''}${amounts}`;
}
