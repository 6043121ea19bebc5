// A blob brought into the store for nobody in particular: by the same fills as clients' pulls, behind all that they wait for.
import type { Log } from '../observe/log.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Spool } from '../store/spool.ts';
import { abandonable } from '../upstream/abandonable.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Fill } from './fill.ts';
import { NoRoomError, YieldedError } from './fill-failure.ts';
import type { Fills } from './fills.ts';
import { type HereOptions, isOfRegistry, lookUp } from './here.ts';
import { type ProofOptions, proveBlob } from './prove-blob.ts';
import { repositoryKey } from './repository-key.ts';

export interface BringerOptions extends ProofOptions, HereOptions {
  readonly store: Pick<BlobStore, 'has'>;
  readonly fills: Fills;
  readonly disk: Pick<Disk, 'problem' | 'report'>;
  readonly log: Log;
}

export interface WantedHere {
  readonly source: Source;
  readonly digest: Digest;
  /** As the manifest says. */
  readonly size: number;
}

export interface Arriving {
  /** Written so far, what an earlier fill left included. */
  readonly receivedBytes: number;
  /** It had begun for somebody else. */
  readonly isJoined: boolean;
}

export interface BringOptions {
  /** Who leaves takes the fill along that was begun here, unless somebody reads it; its bytes wait for the next one. */
  readonly signal: AbortSignal;
  /** Told of each fill that is waited for: there may be another after one that had to make place. */
  readonly onArriving?: ((arriving: Arriving) => void) | undefined;
}

/** It was stored already; it came for somebody else, or for this call. */
export type Brought = 'present' | 'joined' | 'fetched';

/**
 * Resolves once it is stored and this repository may have it; `undefined` when the upstream proved that there is no such
 * blob. Rejects when it could not be fetched, or may not stay.
 */
export async function bringBlob(
  options: BringerOptions,
  wanted: WantedHere,
  { signal, onArriving }: BringOptions,
): Promise<Brought | undefined> {
  const { store, records, absences, disk, log } = options;
  const { source, digest } = wanted;
  let brought: Brought = 'present';
  // The upstream's word counts even where it cannot be written down.
  let isProven = false;
  // As in a pull, each round decides on what is true in one turn.
  for (;;) {
    signal.throwIfAborted();
    const { stored, running, isManifest, isToProve } = lookUp(options, source, digest);
    if (isManifest) return undefined;
    const isForeign = running !== undefined && !isOfRegistry(running, source);
    if (!isProven && isToProve && (stored || (running && !isForeign))) {
      if ((await proveBlob(options, source, { digest, signal })) === undefined) return undefined;
      isProven = true;
    } else if (stored) {
      if (await store.has(digest, stored.size)) {
        records.touchBlob(digest);
        return brought;
      }
      log.warn({ digest }, 'the file of a stored blob is gone or cut short; it will be fetched again');
      records.deleteBlob(digest);
    } else {
      if (!running && absences.has(source.repository, { blob: digest })) return undefined;
      if (!running && disk.problem !== undefined) throw new Error(`nothing can be stored: ${disk.problem}`);
      const fill = running ?? begin(options.fills, wanted);
      onArriving?.(arrivalOf(fill, running !== undefined));
      const end = await ended(options, wanted, { fill, isOurs: !running, signal });
      if (end === 'gone') return undefined;
      const isHere = lookUp(options, source, digest).stored !== undefined;
      // It came whole and was not kept: nor would the next be.
      if (end === 'whole' && !running && !isHere) throw new NoRoomError(digest);
      brought = running ? 'joined' : 'fetched';
    }
  }
}

/** In the turn in which nothing ran. */
function begin(fills: Fills, { source, digest, size }: WantedHere): Fill {
  fills.startSibling(source, digest, size);
  // Where no connection can be spared it waits for its place among the others, and whoever reads passes it there too.
  return fills.find(digest) ?? fills.start(source, digest, { size, from: 0 });
}

/** What is true now has to be looked at, but after `gone`: the upstream of this repository proved that it has no such blob. */
async function ended(
  { fills, absences }: BringerOptions,
  { source, digest }: WantedHere,
  { fill, isOurs, signal }: { readonly fill: Fill; readonly isOurs: boolean; readonly signal: AbortSignal },
): Promise<'whole' | 'broken' | 'gone'> {
  const { isWanted } = fill;
  const leave = () => {
    // Whoever has joined it meanwhile keeps it, as any other that was asked for.
    if (isOurs && !fill.isRead && fill.isWanted === isWanted && fills.find(digest) === fill) fill.yield();
  };
  signal.addEventListener('abort', leave, { once: true });
  const failure = await abandonable(fill.ended, signal).finally(() => signal.removeEventListener('abort', leave));
  // What another repository's upstream says, a refusal or nothing, is no answer to this one.
  const isOwn = repositoryKey(fill.source.repository) === repositoryKey(source.repository);
  if (failure !== undefined) {
    const isOver = fills.find(digest) === undefined && !(failure instanceof YieldedError);
    if (isOwn && isOver) throw failure;
    return 'broken';
  }
  if (await fill.opened.catch(() => undefined)) return 'whole';
  absences.add(fill.source.repository, { blob: digest });
  return isOwn ? 'gone' : 'broken';
}

function arrivalOf(fill: Fill, isJoined: boolean): Arriving {
  let spool: Spool | undefined;
  fill.opened.then(
    (opened) => {
      spool = opened;
    },
    () => {},
  );
  return {
    isJoined,
    get receivedBytes() {
      return spool?.written.total ?? 0;
    },
  };
}
