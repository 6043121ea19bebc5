// The worker's side of the checkpoints. Readers and writers go on meanwhile: it takes no lock that they want.
import { DatabaseSync } from 'node:sqlite';
import { parentPort } from 'node:worker_threads';

const rounds = 5;
/** So few that the writer can move them without being held up. */
const fewFrames = 64;

parentPort?.on('message', (path: string) => {
  try {
    using database = new DatabaseSync(path);
    const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    for (let round = 0; round < rounds; round++) {
      const { log, checkpointed } = checkpoint.get() as { log: number; checkpointed: number };
      if (log - checkpointed > fewFrames && round < rounds - 1) continue;
      parentPort?.postMessage(log);
      return;
    }
  } catch {
    // The next one may do better; and with a very long log the writer makes one itself.
  }
});
