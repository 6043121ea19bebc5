// The worker's side of the verifier: takes turns between the files it follows, a slice at a time.
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { FollowedFile } from './followed-file.ts';
import type { VerifierReply, VerifierRequest } from './verifier.ts';

interface Followed {
  readonly file: FollowedFile;
  ending: 'finish' | 'suspend' | undefined;
}

/** Behind the event loop where both want the same core: a hash may be late, an answer may not. */
const niceness = 5;

const followed = new Map<number, Followed>();
let turnPlanned = false;

function reply(message: VerifierReply): void {
  parentPort?.postMessage(message);
}

function drop(id: number): void {
  followed.get(id)?.file.close();
  followed.delete(id);
}

function handle(request: VerifierRequest): void {
  const { id } = request;
  if (request.type === 'follow') {
    const { path, algorithm, journal } = request;
    const onTrusted = (trusted: number, isLast: boolean) => reply({ id, trusted, isLast });
    followed.set(id, { file: new FollowedFile(path, algorithm, journal, onTrusted), ending: undefined });
    return;
  }
  const known = followed.get(id);
  if (!known) return;
  if (request.type === 'abandon') drop(id);
  else {
    known.file.advance(request.end);
    if (request.type !== 'advance') known.ending = request.type;
  }
}

/** Hashes one slice of every file that has one ready, so that a large blob cannot starve a small one. */
function takeTurn(): void {
  turnPlanned = false;
  for (const [id, { file, ending }] of followed) {
    try {
      if (ending === 'suspend' && file.isProving) end(id, file, ending);
      else if (!file.isCaughtUp) file.step();
      else if (ending) end(id, file, ending);
    } catch (error) {
      reply({ id, failure: (error as Error).message });
      drop(id);
    }
  }
  if ([...followed.values()].some(({ file, ending }) => ending || !file.isCaughtUp)) planTurn();
}

function end(id: number, file: FollowedFile, ending: 'finish' | 'suspend'): void {
  if (ending === 'suspend') file.suspend();
  reply(ending === 'suspend' ? { id, suspended: true } : { id, encoded: file.digest() });
  drop(id);
}

function planTurn(): void {
  if (turnPlanned) return;
  turnPlanned = true;
  setImmediate(takeTurn);
}

function stepBack(): void {
  // Elsewhere it would be the priority of the whole process.
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, Math.min(19, getPriority(0) + niceness));
  } catch {
    // Not permitted here: then it hashes as everybody else works.
  }
}

stepBack();
parentPort?.on('message', (request: VerifierRequest) => {
  try {
    handle(request);
  } catch (error) {
    reply({ id: request.id, failure: (error as Error).message });
  }
  planTurn();
});
