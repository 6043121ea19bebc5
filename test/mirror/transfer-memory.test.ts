// The memory that a transfer's bytes arrived in goes back as soon as they are written, each byte once.
import { expect, test, vi } from 'vitest';
import { Transfer } from '../../src/mirror/transfer.ts';
import { Spools } from '../../src/store/spools.ts';
import { giveBack } from '../../src/upstream/slabs.ts';
import { ScratchStore } from '../store/scratch-store.ts';
import { path, scriptedUpstream } from './scripted-upstream.ts';
import { patient } from './start-mirror.ts';

vi.mock(import('../../src/upstream/slabs.ts'), async (original) => {
  const real = await original();
  return { ...real, giveBack: vi.fn(real.giveBack) };
});

const size = 20 * 1024 * 1024;

test('every byte goes back once, after it was written', async () => {
  await using at = await scriptedUpstream({ size });
  await using scratch = await ScratchStore.open();
  const spools = await Spools.open(scratch.layout);
  const spool = await spools.open(at.digest, size);
  let [written, back] = [0, 0];
  vi.mocked(giveBack).mockImplementation((bytes) => {
    back += bytes.length;
    expect(back).toBeLessThanOrEqual(written);
  });
  const first = await at.source.upstream.fetchBlob(path, at.digest, patient, { start: 0, end: size });
  if (!first) throw new Error('there is no such blob');
  const transfer = new Transfer({
    ...{ source: at.source, spool, first, signal: patient },
    parallel: () => 4,
    onResume: () => {},
    onWrote: (bytes) => {
      written += bytes;
    },
  });
  await transfer.run();
  await spool.verify();
  expect(back).toBe(size);
  await spool.close();
  await spools.close();
});
