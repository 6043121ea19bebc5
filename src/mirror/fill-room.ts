// Room for what a fill brings: taken before its first byte, given back when the bytes have been put away.

import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';
import type { Spool } from '../store/spool.ts';
import type { Spools } from '../store/spools.ts';
import type { Budget, Reservation } from './budget.ts';
import { NoRoomError } from './fill-failure.ts';
import { type KeepOptions, keepBlob } from './keep-blob.ts';

export interface WantedRoom {
  readonly size: number;
  /** Bytes of a leftover, which count for the fill from now on or, without room, for themselves again. */
  readonly claimed: number;
  /** Whether somebody waits for it: what is not kept is of no use to anybody else. */
  readonly isWanted: () => boolean;
}

export interface RoomOptions {
  readonly digest: Digest;
  readonly budget: Pick<Budget, 'reserve'>;
  readonly spools: Spools;
}

export async function takeRoom(
  { digest, budget, spools }: RoomOptions,
  { size, claimed, isWanted }: WantedRoom,
  signal: AbortSignal,
): Promise<Reservation> {
  try {
    const reservation = await budget.reserve(size, signal, claimed);
    if (reservation && (reservation.isKept || isWanted())) return reservation;
    reservation?.release();
    throw new NoRoomError(digest);
  } catch (error) {
    await spools.leftovers.add(digest);
    throw error;
  }
}

export interface PutAwayOptions extends KeepOptions {
  readonly spools: Spools;
  /** Called in the same turn in which it is in the store, or proves too large for it. */
  readonly onSettled: () => void;
}

/** What has proven true. */
export async function putAway(
  options: PutAwayOptions,
  {
    repository,
    spool,
    reservation,
  }: { readonly repository: Repository; readonly spool: Spool; readonly reservation: Reservation },
): Promise<void> {
  const { spools, onSettled } = options;
  if (!reservation.isKept) {
    onSettled();
    await spools.discard(spool);
    // Its readers still hold the bytes on the disk.
    void spool.closed.then(() => reservation.release());
    return;
  }
  await keepBlob(options, repository, spool);
  reservation.release();
  onSettled();
}
