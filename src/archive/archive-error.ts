// Why an archive is refused, in words for whoever sent it.

/** It is not what it says, or not what can be taken in. Nothing of it is kept. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}
