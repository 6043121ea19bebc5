// The cache put together: a directory, what keeps it inside its budget and in order, and the mirror on top.
import { existsSync } from 'node:fs';
import { Absences } from './mirror/absences.ts';
import { Blobs } from './mirror/blobs.ts';
import { Budget, type Size } from './mirror/budget.ts';
import { Completeness } from './mirror/completeness.ts';
import { Evictor } from './mirror/evictor.ts';
import { Fills } from './mirror/fills.ts';
import { Images } from './mirror/images/images.ts';
import { Purge } from './mirror/images/purge.ts';
import { usableOf } from './mirror/links.ts';
import { Manifests } from './mirror/manifests.ts';
import { Mirror } from './mirror/mirror.ts';
import { Pins } from './mirror/pins.ts';
import { Referrers } from './mirror/referrers.ts';
import { Siblings } from './mirror/siblings.ts';
import { TagPolicy, type TagPolicyOptions } from './mirror/tag-policy.ts';
import { Tags, type TagsOptions } from './mirror/tags.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Digest } from './oci/digest.ts';
import { BlobStore } from './store/blob-store.ts';
import { Disk } from './store/disk.ts';
import { type Layout, prepareLayout } from './store/layout.ts';
import { lockDirectory } from './store/lock.ts';
import { Records } from './store/records.ts';
import { Spools } from './store/spools.ts';

export interface CacheOptions extends Pick<TagsOptions, 'onStale'> {
  readonly dir: string;
  readonly maxSize: Size;
  /** What stays free on the disk. */
  readonly minFree: Size;
  readonly maxFills: number;
  readonly siblings: boolean;
  /** What everybody can see at one registry is not fetched again from another: where all may pull everything. */
  readonly mayShare: () => boolean;
  readonly tags: TagPolicyOptions;
  readonly metrics: Metrics;
  readonly log: Log;
}

export interface Cache extends AsyncDisposable {
  readonly mirror: Mirror;
  readonly manifests: Manifests;
  readonly tags: Tags;
  readonly fills: Fills;
  readonly budget: Budget;
  readonly evictor: Evictor;
  readonly disk: Disk;
  readonly pins: Pins;
  readonly images: Images;
  readonly purge: Purge;
  readonly policy: TagPolicy;
  readonly absences: Absences;
  readonly records: Records;
  readonly spools: Spools;
  readonly store: BlobStore;
  readonly layout: Layout;
}

/** Throws one error that says what cannot be opened; nothing stays open then. Disposing ends the fills first. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const { metrics, log } = options;
  await using opened = new AsyncDisposableStack();
  const layout = await prepareLayout(options.dir);
  const lock = lockDirectory(layout.lock, options.dir);
  opened.defer(() => lock.release());
  const disk = new Disk({
    dir: layout.spools,
    log,
    onChange: (problem) => metrics.cacheWritable.set(problem === undefined ? 1 : 0),
  });
  metrics.cacheWritable.set(1);
  opened.defer(() => disk.close());
  const records = new Records(layout.index, {
    onDamaged: (why, movedTo) => log.warn({ why, movedTo }, 'the index was damaged and was moved aside'),
    onFault: (error) => disk.report(error),
  });
  if (records.isFresh && existsSync(layout.blobs))
    log.warn(
      { index: layout.index },
      'the index is new; it is made anew from the blobs on the disk, in the background',
    );
  opened.defer(() => records.close());
  metrics.watchCache(() => records.totals);
  metrics.watchDisk(async () => (await disk.space()).free);
  const store = new BlobStore(layout);
  opened.defer(() => store.close());
  const spools = await Spools.open(layout);
  opened.defer(() => spools.close());

  const stopping = new AbortController();
  const stop = { stopping: stopping.signal };
  const pins = new Pins({ records, store });
  const isBusy = (digest: Digest): boolean => fills.find(digest) !== undefined;
  const evictor = new Evictor({ records, store, pins, metrics, log, isBusy, ...stop });
  const budget = new Budget({
    disk,
    records,
    evictor,
    leftovers: spools.leftovers,
    maxSize: options.maxSize,
    minFree: options.minFree,
    onBudget: (limit) => metrics.budgetBytes.set(limit),
  });
  opened.defer(() => budget.close());
  const mayUse = usableOf(records, options.mayShare);
  const fills = new Fills({ ...options, store, spools, records, mayUse, budget, disk, ...stop });
  opened.defer(() => fills.drained());
  opened.defer(() => stopping.abort());
  const policy = new TagPolicy(options.tags);
  const absences = new Absences(policy, records);
  const manifests = new Manifests({ store, records, mayUse, disk, absences, log, ...stop });
  const completeness = new Completeness({ records, mayUse, disk, manifests, fills, policy, ...stop });
  const tags = new Tags({ ...{ records, manifests, completeness, disk, absences, policy }, ...options, ...stop });
  const siblings = options.siblings ? new Siblings() : undefined;
  const mirror = new Mirror({
    ...{ records, manifests, tags, completeness, siblings },
    blobs: new Blobs({ store, records, mayUse, fills, disk, absences, siblings, log }),
    referrers: new Referrers({ records, mayUse, manifests, tags, policy, ...stop }),
  });

  const looking = { records, store, mayUse, disk, fills };
  const images = new Images(looking);
  const purge = new Purge({ ...looking, pins, evictor });

  const parts = opened.move();
  return {
    ...{
      mirror,
      manifests,
      tags,
      fills,
      budget,
      evictor,
      disk,
      pins,
      images,
      purge,
      policy,
      absences,
      records,
      spools,
      store,
      layout,
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
