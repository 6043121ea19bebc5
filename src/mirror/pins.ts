// What is pinned, down to the last layer: the closure of every pin over the manifests that rest here.
import type { Digest } from '../oci/digest.ts';
import { type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';

export interface PinsOptions {
  readonly records: Pick<Records, 'pins' | 'pinsVersion' | 'meanings' | 'blob'>;
  readonly store: Pick<BlobStore, 'readAll'>;
}

/** How many manifests are looked at before others get a turn. */
const turnSize = 200;
/** A pinned set may be large, and every fill of a full cache asks. */
const believedMs = 1000;

export class Pins {
  readonly #options: PinsOptions;
  #pinned: ReadonlySet<Digest> = new Set();
  /** Content never changes under its digest: what a manifest named is known even while its file is gone. */
  #children: ReadonlyMap<Digest, ManifestChildren> = new Map();
  #version = -1;
  #stored: { readonly bytes: number; readonly version: number; readonly at: number } | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(options: PinsOptions) {
    this.#options = options;
  }

  /** That of the pins which `isPinned` knows. */
  get version(): number {
    return this.#version;
  }

  /** Whether `isPinned` knows of every pin there is in this turn. */
  get isCurrent(): boolean {
    return this.#version === this.#options.records.pinsVersion;
  }

  /** As of the last `refresh`. */
  isPinned(digest: Digest): boolean {
    return this.#pinned.has(digest);
  }

  /** Cheap when no pin, and nothing under one, has changed. */
  async refresh(): Promise<void> {
    if (this.isCurrent) return;
    this.#refreshing ??= this.#follow().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Bytes of what rests here and is pinned, as of the last `refresh` and at most a second ago. */
  async storedBytes(): Promise<number> {
    const { records } = this.#options;
    const [version, at] = [this.#version, performance.now()];
    if (this.#stored?.version === version && at - this.#stored.at < believedMs) return this.#stored.bytes;
    let [bytes, looked] = [0, 0];
    for (const digest of this.#pinned) {
      bytes += records.blob(digest)?.size ?? 0;
      if (++looked % turnSize === 0) await nextTurn();
    }
    this.#stored = { bytes, version, at };
    return bytes;
  }

  async #follow(): Promise<void> {
    const { records } = this.#options;
    const version = records.pinsVersion;
    const pinned = new Set<Digest>();
    const children = new Map<Digest, ManifestChildren>();
    const next: Digest[] = [];
    for (const pin of records.pins()) next.push(...records.meanings(pin));
    let looked = 0;
    for (let digest = next.pop(); digest; digest = next.pop()) {
      if (children.has(digest)) continue;
      pinned.add(digest);
      if (++looked % turnSize === 0) await nextTurn();
      const named = this.#children.get(digest) ?? (await this.#read(digest));
      if (!named) continue;
      children.set(digest, named);
      for (const blob of named.blobs) pinned.add(blob.digest);
      for (const manifest of named.manifests) next.push(manifest.digest);
    }
    this.#pinned = pinned;
    this.#children = children;
    this.#version = version;
  }

  async #read(digest: Digest): Promise<ManifestChildren | undefined> {
    const { records, store } = this.#options;
    const record = records.blob(digest);
    if (record?.mediaType === undefined) return undefined;
    try {
      const bytes = await store.readAll(digest, record.size);
      return bytes && manifestChildren(bytes, record.mediaType);
    } catch {
      return undefined; // what cannot be read or is none holds nothing that a client could use
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
