// One transfer that fills the cache for everyone who asks for the digest. It belongs to no request.
import { traced } from '../observe/spans.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import type { BlobTransfer } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { adoptableSize, adoptFile } from './adopt-file.ts';
import { askFirst, type FirstQuestion } from './ask-first.ts';
import type { Budget, Reservation } from './budget.ts';
import { asError, isWorthless, YieldedError } from './fill-failure.ts';
import { putAway, takeRoom } from './fill-room.ts';
import { startFillSpan } from './fill-span.ts';
import { FillProgress, type FillStatus } from './fill-status.ts';
import { type Ground, type MayUse, noteBlob } from './links.ts';
import type { Share, Slots } from './slots.ts';
import { Transfer } from './transfer.ts';

export interface FillOptions extends FirstQuestion {
  /** Somebody waits for it; otherwise it goes on with one request at a time, behind all that are waited for. */
  readonly isWanted: boolean;
  readonly store: BlobStore;
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly mayShare: () => boolean;
  readonly budget: Pick<Budget, 'reserve'>;
  readonly disk: Pick<Disk, 'report'>;
  readonly slots: Slots;
  readonly shares: readonly Share[];
  /** Requests at once that it may have now, while somebody waits for it. */
  readonly lanes: () => number;
  /** Whether a fill that nobody waits for may begin now. */
  readonly maySpare: () => boolean;
  readonly stopping: AbortSignal;
  /** Called in the same turn in which the outcome becomes visible: afterwards nobody may join. */
  readonly onSettled: (failure?: unknown) => void;
  /** The first who reads it has come, or the last has left. */
  readonly onReaders: () => void;
  readonly onResume: (position: number, cause: unknown) => void;
  /** Told how much of an earlier fill proved true and is not fetched again. */
  readonly onRecovered: (bytes: number) => void;
}

export class Fill {
  readonly source: Source;
  /**
   * Settles once: a spool that readers may be opened on, `undefined` when the upstream proved it has no such blob, or
   * with `NoRoomError` or the upstream's error.
   */
  readonly opened: Promise<Spool | undefined>;
  /** Never rejects; the failure, if the blob was not committed. */
  readonly ended: Promise<unknown>;
  readonly #options: FillOptions;
  readonly #progress: FillProgress;
  readonly #controller = new AbortController();
  readonly #span: ReturnType<typeof startFillSpan>;
  readonly #signal: AbortSignal;
  #isWanted: boolean;
  #readers = 0;
  #hasSlot = false;
  /** Once it is known that what arrives is to be kept. */
  #kept: Spool | undefined;
  #transfer: Transfer | undefined;

  constructor(options: FillOptions) {
    this.source = options.source;
    this.#progress = new FillProgress(options.size);
    this.#options = options;
    this.#isWanted = options.isWanted;
    this.#signal = AbortSignal.any([options.stopping, this.#controller.signal]);
    const opened = Promise.withResolvers<Spool | undefined>();
    this.opened = opened.promise;
    this.opened.catch(() => {}); // nobody may be waiting any more
    const open = (spool: Spool | undefined) => {
      this.#progress.spool = spool;
      opened.resolve(spool);
    };
    this.#span = startFillSpan(options);
    this.ended = traced(this.#span, () => this.#run(open)).then(
      () => undefined,
      (error: unknown) => {
        options.onSettled(error);
        opened.reject(error);
        return error;
      },
    );
  }

  /** Somebody waited for it, now or before. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Somebody waits for it, or reads it, now. */
  get isRead(): boolean {
    return this.#readers > 0;
  }

  /** Every byte has come: only the proof and the commit are left. */
  get isWritten(): boolean {
    return this.#kept !== undefined && this.#kept.prefix === this.#kept.size;
  }

  get hasSlot(): boolean {
    return this.#hasSlot;
  }

  get status(): FillStatus {
    const { repository, upstream } = this.source;
    return {
      digest: this.#options.digest,
      repository: formatRepository(repository),
      upstream: upstream.name,
      readers: this.#readers,
      isWanted: this.#isWanted,
      ...this.#progress.status,
    };
  }

  /** On what ground it may be read for a repository of its registry; `undefined`: it is for those who may see more. */
  groundFor({ isPrivate }: Repository): Ground | undefined {
    if (!this.source.repository.isPrivate) return this.#options.mayShare() ? 'shared' : 'registry';
    return isPrivate ? 'registry' : undefined;
  }

  /** The upstream gives it for this very name, and not only for those who may see more. */
  isFor(repository: Repository): boolean {
    const isOfName = formatRepository(this.source.repository) === formatRepository(repository);
    return isOfName && this.groundFor(repository) !== undefined;
  }

  /** Somebody waits for it, or reads it, until the function is called that this returns. */
  enter(): () => void {
    this.#span?.join();
    this.#readers++;
    if (!this.#isWanted) {
      this.#isWanted = true;
      this.#transfer?.next();
    }
    if (this.#readers === 1) this.#options.onReaders();
    let isIn = true;
    return () => {
      if (isIn && --this.#readers === 0) this.#options.onReaders();
      isIn = false;
    };
  }

  /** Leaves the table at once, and its bytes to the next fill; who reads it goes on past the disk. */
  yield(): void {
    this.#options.onSettled();
    this.#controller.abort(new YieldedError(`${this.#options.digest} made place`));
  }

  async #run(open: (spool: Spool | undefined) => void): Promise<void> {
    const { slots, shares, maySpare, spools, digest } = this.#options;
    const release = await slots.acquire(this.#signal, {
      shares,
      isUrgent: () => this.isRead,
      mayRun: () => this.#isWanted || maySpare(),
      onTaken: () => {
        this.#hasSlot = true;
      },
    });
    try {
      // A fill that made place may be finishing it.
      await spools.free(digest);
      const size = await adoptableSize(this.#options);
      if (size === undefined || !(await adoptFile({ ...this.#options, signal: this.#signal, size, open })))
        await this.#fetch(open);
    } finally {
      // Ends a body that nobody read to its end; after a whole one it ends nothing.
      this.#controller.abort();
      this.#hasSlot = false;
      release();
    }
  }

  async #fetch(open: (spool: Spool | undefined) => void): Promise<void> {
    const { digest, origin, spools, onSettled } = this.#options;
    const answer = await askFirst(this.#options, this.#signal);
    if (!answer) {
      onSettled();
      open(undefined);
      return;
    }
    const { response, size } = answer;
    const claimed = spools.leftovers.claim(digest);
    const room = { size, claimed, isWanted: () => this.#isWanted };
    const reservation = await takeRoom(this.#options, room, this.#signal);
    try {
      await this.#receive(response, await spools.open(digest, size, origin), { reservation, claimed, open });
    } catch (error) {
      this.#options.disk.report(error);
      reservation.release();
      throw error;
    }
  }

  async #receive(
    first: BlobTransfer,
    spool: Spool,
    { reservation, claimed, open }: { reservation: Reservation; claimed: number; open(spool: Spool | undefined): void },
  ): Promise<void> {
    const { source, spools, records, disk, isPlain, lanes, onSettled, onResume, onRecovered } = this.#options;
    if (reservation.isKept) this.#kept = spool;
    try {
      noteBlob(records, source.repository, spool.digest, spool.size);
      void spool.recovered.then((bytes) => {
        // What was not true is written once more.
        reservation.wrote(bytes - claimed);
        if (bytes > 0) onRecovered(bytes);
      });
      // An empty blob has no last byte to withhold: it opens when it is proven.
      if (spool.size > 0) open(spool);
      this.#transfer = new Transfer({
        source,
        spool,
        first,
        parallel: () => (this.#isWanted && !isPlain ? lanes() : 1),
        signal: this.#signal,
        onResume,
        onWrote: (bytes) => {
          reservation.wrote(bytes);
          this.#progress.wrote(bytes);
        },
      });
      await this.#transfer.run();
      await spool.verify();
      open(spool);
      await putAway(this.#options, { repository: source.repository, spool, reservation });
    } catch (error) {
      disk.report(error);
      onSettled(error);
      const failure = asError(error);
      // What is wrong cannot be gone on with, and a full disk needs the room.
      if (isWorthless(error)) await spools.discard(spool, failure);
      else await spools.suspend(spool, failure);
      throw error;
    } finally {
      await spool.close();
    }
  }
}
