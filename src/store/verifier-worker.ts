// The worker's side of the verifier: takes turns between the files it follows, a slice at a time.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { VerifierReply, VerifierRequest } from './verifier.ts';

interface Followed {
  readonly hash: Hash;
  readonly fd: number;
  position: number;
  end: number;
  finishing: boolean;
}

const slice = Buffer.allocUnsafe(1024 * 1024);
const followed = new Map<number, Followed>();
let turnPlanned = false;

function reply(message: VerifierReply): void {
  parentPort?.postMessage(message);
}

function drop(id: number): void {
  const file = followed.get(id);
  if (file) closeSync(file.fd);
  followed.delete(id);
}

function handle(request: VerifierRequest): void {
  if (request.type === 'follow') {
    const fd = openSync(request.path, 'r');
    followed.set(request.id, { hash: createHash(request.algorithm), fd, position: 0, end: 0, finishing: false });
    return;
  }
  const file = followed.get(request.id);
  if (!file) return;
  if (request.type === 'abandon') drop(request.id);
  else {
    file.end = request.end;
    file.finishing = request.type === 'finish';
  }
}

/** Hashes one slice of every file that has one ready, so that a large blob cannot starve a small one. */
function takeTurn(): void {
  turnPlanned = false;
  for (const [id, file] of followed) {
    try {
      if (file.position < file.end) hashSlice(file);
      if (file.finishing && file.position === file.end) {
        reply({ id, encoded: file.hash.digest('hex') });
        drop(id);
      }
    } catch (error) {
      reply({ id, failure: (error as Error).message });
      drop(id);
    }
  }
  if ([...followed.values()].some((file) => file.position < file.end)) planTurn();
}

function hashSlice(file: Followed): void {
  const wanted = Math.min(slice.length, file.end - file.position);
  const read = readSync(file.fd, slice, 0, wanted, file.position);
  if (read === 0) throw new Error(`the file ends at ${file.position}, ${file.end} bytes were announced`);
  file.hash.update(slice.subarray(0, read));
  file.position += read;
}

function planTurn(): void {
  if (turnPlanned) return;
  turnPlanned = true;
  setImmediate(takeTurn);
}

parentPort?.on('message', (request: VerifierRequest) => {
  try {
    handle(request);
  } catch (error) {
    reply({ id: request.id, failure: (error as Error).message });
  }
  planTurn();
});
