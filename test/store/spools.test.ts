// What a process finds and leaves in the folder where blobs arrive.
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Spools } from '../../src/store/spools.ts';
import { ScratchStore } from './scratch-store.ts';

const bytes = Buffer.from('a layer');
const digest = digestOf(bytes);

test('opening the spools clears away what a dead process left', async () => {
  await using scratch = await ScratchStore.open();
  await writeFile(scratch.layout.spool(digest, 'dead'), 'half');
  const spools = await Spools.open(scratch.layout);
  expect(await scratch.spoolFiles()).toEqual([]);
  await spools.close();
});

test('two spools of one digest keep out of each other’s way', async () => {
  await using scratch = await ScratchStore.open();
  const spools = await Spools.open(scratch.layout);
  const [one, other] = [await spools.create(digest, bytes.length), await spools.create(digest, bytes.length)];
  await one.write(bytes, 0);
  await one.verify();
  await other.write(Buffer.from('b'), 0);
  await other.discard(new Error('given up'));
  await one.commit(scratch.store);
  await Promise.all([one.close(), other.close()]);
  expect(await scratch.store.readAll(digest, bytes.length)).toEqual(new Uint8Array(bytes));
  expect(await scratch.spoolFiles()).toEqual([]);
  await spools.close();
});
