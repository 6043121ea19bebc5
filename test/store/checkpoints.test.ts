// The write-ahead log of the index comes into its file without anybody on the event loop waiting for it.
import { once } from 'node:events';
import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Checkpoints } from '../../src/store/checkpoints.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

async function checkpointed(act: () => void): Promise<Worker> {
  const started = once(process, 'worker') as Promise<[Worker]>;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    act();
    vi.advanceTimersByTime(2000);
  } finally {
    vi.useRealTimers();
  }
  const [worker] = await started;
  await once(worker, 'message');
  return worker;
}

test('what is written is in the file itself soon after', async () => {
  await using dir = await tempDir('checkpoints');
  const path = join(dir.path, 'index.db');
  const records = new Records(path);
  const digests = Array.from({ length: 600 }, (_, number) => digestOf(Buffer.from(`${number}`)));
  await checkpointed(() => {
    for (const digest of digests) records.putBlob(digest, 1);
  });
  await copyFile(path, join(dir.path, 'alone.db'));
  const alone = new Records(join(dir.path, 'alone.db'));
  expect(alone.totals.blobs).toBe(600);
  alone.close();
  for (const digest of digests) records.deleteBlob(digest);
  records.close();
  expect((await readdir(dir.path)).sort()).toEqual(['alone.db', 'index.db']);
  const after = new Records(path);
  expect(after.totals.blobs).toBe(0);
  after.close();
});

function database(path: string): DatabaseSync {
  const opened = new DatabaseSync(path);
  opened.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE pages (bytes BLOB);');
  return opened;
}

test('the rest of a long log is left to the writer, that of a shorter one moves with the next', async () => {
  await using dir = await tempDir('checkpoints');
  const path = join(dir.path, 'index.db');
  using writer = database(path);
  const insert = writer.prepare('INSERT INTO pages VALUES (zeroblob(40000))');
  let rests = 0;
  const checkpoints = new Checkpoints(path, () => rests++);
  for (let number = 0; number < 150; number++) insert.run();
  const worker = await checkpointed(() => checkpoints.wrote());
  expect(rests).toBe(0);
  for (let number = 0; number < 1000; number++) insert.run();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  checkpoints.wrote();
  vi.advanceTimersByTime(2000);
  vi.useRealTimers();
  const [log] = (await once(worker, 'message')) as [number];
  expect(log).toBeGreaterThan(8192);
  expect(rests).toBe(1);
  checkpoints.close();
});

test('closing leaves no worker and no timer behind', async () => {
  const checkpoints = new Checkpoints('/nowhere', expect.fail);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    checkpoints.wrote();
    checkpoints.wrote();
    expect(vi.getTimerCount()).toBe(1);
    checkpoints.close();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
