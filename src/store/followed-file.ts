// A file under the verifier's eyes: its hash so far, and the checkpoints it has passed. Synchronous: it lives in a worker.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { DigestAlgorithm } from '../oci/digest.ts';
import { type Checkpoint, checkpointBytes, journalHead, journalLine } from './journal.ts';
import type { JournalFile } from './verifier.ts';

/** What one read hashes at most; shared by all files of the worker. */
const slice = Buffer.allocUnsafe(1024 * 1024);

export class FollowedFile {
  readonly #fd: number;
  readonly #journal: JournalWriter | undefined;
  readonly #onTrusted: (end: number, isLast: boolean) => void;
  /** Checkpoints of an earlier process that were not proven yet. */
  #claims: readonly Checkpoint[];
  #trusted: { readonly end: number; readonly hash: Hash };
  #hash: Hash;
  #position = 0;
  #end: number;

  constructor(
    path: string,
    algorithm: DigestAlgorithm,
    journal: JournalFile | undefined,
    onTrusted: (end: number, isLast: boolean) => void,
  ) {
    this.#hash = createHash(algorithm);
    this.#trusted = { end: 0, hash: this.#hash.copy() };
    this.#fd = openSync(path, 'r');
    this.#journal = journal && JournalWriter.open(journal);
    this.#onTrusted = onTrusted;
    this.#claims = journal?.checkpoints ?? [];
    this.#end = this.#claims.at(-1)?.end ?? 0;
  }

  advance(end: number): void {
    this.#end = Math.max(this.#end, end);
  }

  /** Whether everything that was announced is hashed. */
  get isCaughtUp(): boolean {
    return this.#position === this.#end;
  }

  /** Whether an earlier process claims more than is proven: its journal can stay as it is. */
  get isProving(): boolean {
    return this.#claims.length > 0;
  }

  /** Hashes at most one slice. */
  step(): void {
    const [claim] = this.#claims;
    const wanted = Math.min(slice.length, (claim?.end ?? this.#end) - this.#position, this.#toCheckpoint);
    const read = readSync(this.#fd, slice, 0, wanted, this.#position);
    if (read === 0 && claim) this.#distrust();
    else if (read === 0) throw new Error(`the file ends at ${this.#position}, ${this.#end} bytes were announced`);
    this.#hash.update(slice.subarray(0, read));
    this.#position += read;
    if (claim && this.#position === claim.end) this.#prove(claim);
    else if (this.#toCheckpoint === checkpointBytes && read > 0 && !claim) this.#note();
  }

  digest(): string {
    return this.#hash.digest('hex');
  }

  /** Leaves the journal so that all that was hashed can be believed again. */
  suspend(): void {
    if (this.#claims.length === 0) this.#note();
  }

  close(): void {
    closeSync(this.#fd);
    this.#journal?.close();
  }

  /** From a checkpoint it is a whole step to the next. */
  get #toCheckpoint(): number {
    return checkpointBytes - (this.#position % checkpointBytes);
  }

  #note(): void {
    if (this.#position > 0) this.#journal?.write({ end: this.#position, encoded: this.#hash.copy().digest('hex') });
  }

  #prove(claim: Checkpoint): void {
    if (this.#hash.copy().digest('hex') !== claim.encoded) {
      this.#distrust();
      return;
    }
    this.#claims = this.#claims.slice(1);
    this.#trusted = { end: claim.end, hash: this.#hash.copy() };
    this.#onTrusted(claim.end, this.#claims.length === 0);
  }

  /** Back to the last checkpoint that was true: the bytes behind it will come again. */
  #distrust(): void {
    const { end, hash } = this.#trusted;
    this.#claims = [];
    this.#hash = hash.copy();
    this.#position = end;
    this.#end = end;
    this.#journal?.truncate(end);
    this.#onTrusted(end, true);
  }
}

/** A journal that cannot be written is given up: it only saves bytes. */
class JournalWriter {
  readonly #journal: JournalFile;
  readonly #fd: number;
  #length: number;
  #lastEnd: number;
  #isBroken = false;

  static open(journal: JournalFile): JournalWriter | undefined {
    try {
      return new JournalWriter(journal, openSync(journal.path, 'r+'));
    } catch {
      return undefined;
    }
  }

  private constructor(journal: JournalFile, fd: number) {
    this.#journal = journal;
    this.#fd = fd;
    this.#lastEnd = journal.checkpoints.at(-1)?.end ?? 0;
    this.#length = 0;
    this.truncate(this.#lastEnd);
  }

  /** Forgets the checkpoints behind `end`, and torn lines. */
  truncate(end: number): void {
    const kept = this.#journal.checkpoints.filter((checkpoint) => checkpoint.end <= end);
    this.#length = [journalHead(this.#journal), ...kept.map(journalLine)].join('').length;
    this.#lastEnd = end;
    this.#try(() => ftruncateSync(this.#fd, this.#length));
  }

  write(checkpoint: Checkpoint): void {
    if (checkpoint.end <= this.#lastEnd) return;
    this.#lastEnd = checkpoint.end;
    this.#try(() => {
      this.#length += writeSync(this.#fd, journalLine(checkpoint), this.#length);
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #try(write: () => void): void {
    if (this.#isBroken) return;
    try {
      write();
    } catch {
      this.#isBroken = true;
    }
  }
}
