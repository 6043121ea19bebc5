// Last uses on the disk: when they come there.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { usesPerPage } from '../../src/store/usage.ts';
import { tempDir } from '../support/temp-dir.ts';

const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'))];

test('last uses are written within seconds, and again after they could not be', async () => {
  await using dir = await tempDir('records');
  const path = join(dir.path, 'index.db');
  const faults: unknown[] = [];
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const records = new Records(path, { onFault: (error) => faults.push(error) });
    records.putBlob(one, 1);
    records.putBlob(two, 1);
    const { id = 0 } = records.blob(one) ?? {};
    const written = () => {
      using database = new DatabaseSync(path, { readOnly: true });
      const { times } = database.prepare('SELECT times FROM usage').get() as { times: Uint8Array };
      return new Float64Array(times.slice().buffer)[id] ?? 0;
    };
    const before = written();
    records.touch(id);
    expect(written()).toBe(before);
    using other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    vi.advanceTimersByTime(10_000);
    expect(faults).toHaveLength(1);
    expect(written()).toBe(before);
    other.exec('COMMIT');
    vi.advanceTimersByTime(10_000);
    expect(written()).toBe(records.oldest(2)[1]?.usedAt);
    records.close();
  } finally {
    vi.useRealTimers();
  }
});

test('many last uses are written a few pages a turn', async () => {
  await using dir = await tempDir('records');
  const path = join(dir.path, 'index.db');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const records = new Records(path);
    const count = 160 * usesPerPage;
    records.batch(() => {
      for (let number = 1; number < count; number++) records.putUnproven(digestOf(Buffer.from(`${number}`)), 1, number);
    });
    records.flush();
    for (let id = 1; id < count; id++) records.touch(id);
    const written = () => {
      using database = new DatabaseSync(path, { readOnly: true });
      const pages = database.prepare('SELECT times FROM usage').all() as { times: Uint8Array }[];
      return pages.filter(({ times }) => (new Float64Array(times.slice().buffer)[7] ?? 0) > count).length;
    };
    vi.advanceTimersByTime(9_999);
    expect(written()).toBe(0);
    const turns = [1, 25, 25, 10_000].map((ms) => {
      vi.advanceTimersByTime(ms);
      return written();
    });
    expect(turns).toEqual([64, 128, 160, 160]);
    records.close();
  } finally {
    vi.useRealTimers();
  }
});
