// How fast bytes have come in the last seconds: a few numbers, whatever comes in however many pieces.

const bucketMs = 1000;
/** The one that is being filled, and the five before it. */
const buckets = 6;
/** What comes first says little of what a whole second would bring. */
const shortestMs = 250;

export class Rate {
  readonly #now: () => number;
  readonly #bytes = new Float64Array(buckets);
  readonly #beganAt: number;
  /** Since the clock's beginning. */
  #bucket: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#beganAt = now();
    this.#bucket = Math.floor(this.#beganAt / bucketMs);
  }

  add(bytes: number): void {
    this.#turn();
    const at = this.#bucket % buckets;
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes;
  }

  get bytesPerSecond(): number {
    const now = this.#turn();
    const sinceMs = Math.max(this.#beganAt, (this.#bucket - buckets + 1) * bucketMs);
    const sum = this.#bytes.reduce((all, bytes) => all + bytes, 0);
    return Math.round((sum * 1000) / Math.max(shortestMs, now - sinceMs));
  }

  /** Empties the buckets whose time has come again. */
  #turn(): number {
    const now = this.#now();
    const bucket = Math.floor(now / bucketMs);
    for (let at = Math.max(this.#bucket + 1, bucket - buckets + 1); at <= bucket; at++) this.#bytes[at % buckets] = 0;
    this.#bucket = bucket;
    return now;
  }
}
