// How long an archive is, as whoever sends it says: it may not fit, and then nothing has to make room for it.
import { expect, test } from 'vitest';
import type { ArchiveApiOptions } from '../../src/admin/archive-api.ts';
import { LongClient } from './long-client.ts';
import { startAdmin } from './start-admin.ts';

test.each([
  ['with its length', { 'content-length': '5' }, 5],
  ['without', { 'transfer-encoding': 'chunked' }, undefined],
])('an import is sent %s', async (_how, headers, expected) => {
  let seen: number | undefined = -1;
  const importArchive: ArchiveApiOptions['importArchive'] = async ({ body, sizeBytes }) => {
    for await (const _ of body);
    seen = sizeBytes;
    return [];
  };
  await using admin = await startAdmin({ importArchive });
  using client = new LongClient(admin.url, '/api/v1/import', { method: 'POST', headers, body: 'bytes' });
  expect(await client.rest()).toEqual([{ type: 'done', images: 0, bytes: 0 }]);
  expect(seen).toBe(expected);
});
