// What broken fills left behind: spools with a journal, each waiting for the next fill of its digest.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestAlgorithm, digestEncoded, parseDigest } from '../oci/digest.ts';
import { type Journal, readJournal } from './journal.ts';
import type { Layout } from './layout.ts';

/** How long they are kept when nobody goes on with them. */
const keptMs = 7 * 24 * 3600 * 1000;

export class Leftovers {
  readonly #layout: Layout;
  /** Bytes on the disk, the oldest first. */
  readonly #bytes = new Map<Digest, number>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** What all of them take of the disk. */
  get bytes(): number {
    let sum = 0;
    for (const bytes of this.#bytes.values()) sum += bytes;
    return sum;
  }

  /** Unproven; `undefined` when nothing is left of the digest, or only what others are not to go on with. */
  async journal(digest: Digest, origin: string | undefined): Promise<Journal | undefined> {
    const journal = await readJournal(this.#layout.journal(digest));
    return journal?.origin === origin ? journal : undefined;
  }

  /** A fill goes on with it: from now on the fill's room counts for it. Its bytes on the disk. */
  claim(digest: Digest): number {
    const bytes = this.#bytes.get(digest) ?? 0;
    this.#bytes.delete(digest);
    return bytes;
  }

  /** Counts what a fill has left, if it has left anything. */
  async add(digest: Digest): Promise<void> {
    const bytes = await onDisk(this.#layout.spool(digest)).catch(() => undefined);
    if (bytes !== undefined) this.#bytes.set(digest, bytes);
  }

  /** Removes the oldest until `bytes` are free or none is left; resolves, when the files are gone, to how much it was. */
  async drop(bytes: number): Promise<number> {
    let freed = 0;
    for (const [digest, size] of [...this.#bytes]) {
      if (freed >= bytes) break;
      if (!this.#bytes.delete(digest)) continue;
      await this.remove(digest);
      freed += size;
    }
    return freed;
  }

  async remove(digest: Digest): Promise<void> {
    this.#bytes.delete(digest);
    await rm(this.#layout.spool(digest), { force: true });
    await rm(this.#layout.journal(digest), { force: true });
  }

  /** After a start: what can be gone on with stays, everything else in the folder is rubbish of a killed process. */
  async takeStock(): Promise<void> {
    const names = new Set(await readdir(this.#layout.spools));
    const found: { digest: Digest; bytes: number; changedAt: number }[] = [];
    for (const name of names) {
      const path = join(this.#layout.spools, name);
      const digest = digestOfName(name);
      const changedAt = (await stat(path)).mtimeMs;
      if (digest && names.has(`${name}.journal`) && Date.now() - changedAt < keptMs)
        found.push({ digest, bytes: await onDisk(path), changedAt });
      else if (!isJournal(name, names)) await rm(path, { force: true, recursive: true });
    }
    for (const { digest, bytes } of found.sort((one, other) => one.changedAt - other.changedAt))
      this.#bytes.set(digest, bytes);
  }
}

function isJournal(name: string, names: ReadonlySet<string>): boolean {
  return name.endsWith('.journal') && names.has(name.slice(0, -'.journal'.length));
}

function digestOfName(name: string): Digest | undefined {
  const digest = parseDigest(name.replace('-', ':'));
  return digest && name === `${digestAlgorithm(digest)}-${digestEncoded(digest)}` ? digest : undefined;
}

async function onDisk(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}
