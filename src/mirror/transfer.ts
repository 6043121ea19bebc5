// The bytes of one fill on their way from the upstream into the spool: several parts at once, in the order of the plan.
import type { Spool } from '../store/spool.ts';
import { abandonable } from '../upstream/abandonable.ts';
import { giveBack } from '../upstream/slabs.ts';
import type { BlobTransfer, Part } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { receivePart } from './receive-part.ts';
import { Segments } from './segments.ts';

export interface TransferOptions {
  readonly source: Source;
  readonly spool: Spool;
  /** The response that told the size, its body unread. */
  readonly first: BlobTransfer;
  /** Requests at once, now; readers that wait far ahead may add as many. */
  readonly parallel: () => number;
  readonly signal: AbortSignal;
  readonly onResume: (position: number, cause: unknown) => void;
  readonly onWrote: (bytes: number) => void;
}

export class Transfer {
  readonly #options: TransferOptions;
  readonly #plan: Segments;
  readonly #lanes = new Set<Promise<void>>();
  readonly #done = Promise.withResolvers<void>();
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal;
  #isOver = false;
  /** The upstream gave all where a part was asked for: each request would bring the same bytes again. */
  #isOneStream = false;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#plan = new Segments(options.spool.size);
    this.#signal = AbortSignal.any([options.signal, this.#controller.signal]);
  }

  /** Resolves when every byte is written. Rejects with the first failure that cannot be mended, when no lane runs any more. */
  async run(): Promise<void> {
    const { spool, first } = this.#options;
    const claim = this.#plan.reserve(0, spool.claimed);
    void spool.recovered.then(() => {
      this.#plan.settle(claim);
      this.next();
    });
    const start = Math.max(first.start, first.start === 0 ? spool.claimed : 0);
    this.#start(this.#plan.reserve(start, first.end ?? spool.size), first);
    spool.onWanted = () => this.next();
    try {
      this.next();
      await abandonable(this.#done.promise, this.#options.signal);
    } finally {
      this.#isOver = true;
      this.#controller.abort();
      spool.onWanted = undefined;
      // A write that comes too late would change bytes behind the hash of the next fill.
      await Promise.all(this.#lanes);
    }
  }

  /** Starts what may run now. */
  next(): void {
    const { spool, parallel } = this.#options;
    if (spool.prefix === spool.size) this.#done.resolve();
    while (!this.#isOver && spool.prefix < spool.size) {
      const wanted = spool.wanted().filter((position) => this.#plan.isMissing(spool.written, position));
      const most = this.#isOneStream ? 1 : parallel() * (wanted.length > 0 ? 2 : 1);
      if (this.#lanes.size >= most) return;
      const part = this.#isOneStream ? this.#plan.takeRest(spool.written) : this.#plan.take(spool.written, wanted);
      if (!part) return;
      this.#start(part);
    }
  }

  #start(part: Part, first?: BlobTransfer): void {
    const lane: Promise<void> = this.#fetch(part, first).then(
      () => {
        this.#plan.settle(part);
        this.#lanes.delete(lane);
        this.next();
      },
      (error: unknown) => {
        this.#lanes.delete(lane);
        this.#isOver = true;
        this.#done.reject(error);
      },
    );
    this.#lanes.add(lane);
  }

  /** Whether the lane that found out is to go on: not beside others, which bring the same bytes or better ones. */
  #goOnAsOneStream(): boolean {
    this.#isOneStream = true;
    // The first lane is asked before it is counted.
    return this.#lanes.size <= 1;
  }

  async #fetch(part: Part, first: BlobTransfer | undefined): Promise<void> {
    const { source, spool, onResume, onWrote } = this.#options;
    const pieces = receivePart({
      ...part,
      source,
      digest: spool.digest,
      size: spool.size,
      first,
      signal: this.#signal,
      onResume,
      onWhole: () => this.#goOnAsOneStream(),
    });
    for await (const { position, bytes } of pieces) {
      for (const gap of spool.written.gaps(position, position + bytes.length)) {
        await spool.write(bytes.subarray(gap.start - position, gap.end - position), gap.start);
        onWrote(gap.end - gap.start);
      }
      giveBack(bytes);
    }
  }
}
