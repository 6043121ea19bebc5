// The index on a disk that takes nothing more: errors, but no loss, and blobs can still be forgotten.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';

const digestNumber = (number: number) => digestOf(Buffer.from(String(number)));
const full = expect.objectContaining({ errcode: 13 });

function thrownBy(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

async function openIndex(disk: ScratchDisk) {
  const path = join(disk.path, 'index.db');
  const faults: unknown[] = [];
  const records = new Records(path, { onDamaged: expect.fail, onFault: (error) => faults.push(error) });
  records.batch(() => {
    for (let number = 0; number < 500; number++) records.putBlob(digestNumber(number), 1);
  });
  records.close();
  return {
    records: new Records(path, { onDamaged: expect.fail, onFault: (error) => faults.push(error) }),
    path,
    faults,
  };
}

describe('an index on a full disk', () => {
  test('throws, keeps what it has in memory and on the disk alike, and goes on when there is room', async () => {
    await using disk = await ScratchDisk.mount(2 * 1024 * 1024);
    const { records, path, faults } = await openIndex(disk);
    const free = await disk.fill();
    const before = records.oldest(9999);
    expect(thrownBy(() => records.putBlob(digestNumber(1000), 1))).toEqual(full);
    expect(thrownBy(() => records.deleteBlob(digestNumber(3)))).toEqual(full);
    expect(thrownBy(() => records.batch(() => records.putUnproven(digestNumber(1000), 1, 1)))).toEqual(full);
    expect(records.oldest(9999)).toEqual(before);
    expect(records.totals.blobs).toBe(500);
    records.touch(records.blob(digestNumber(0))?.id ?? 0);
    expect(thrownBy(() => records.flush())).toEqual(full);
    await free();
    records.putBlob(digestNumber(1000), 1);
    records.deleteBlob(digestNumber(3));
    const uses = records.oldest(9999);
    records.close();
    expect(faults).toEqual([]);
    const again = new Records(path, { onDamaged: expect.fail });
    expect(again.oldest(9999)).toEqual(uses);
    again.close();
  });

  test('can forget blobs as soon as its log holds anything, since what has moved need not be kept', async () => {
    await using disk = await ScratchDisk.mount(2 * 1024 * 1024);
    const { records } = await openIndex(disk);
    for (let number = 0; number < 20; number++) records.deleteBlob(digestNumber(number));
    const free = await disk.fill();
    for (let number = 20; number < 500; number++) records.deleteBlob(digestNumber(number));
    expect(records.totals.blobs).toBe(0);
    await free();
    records.close();
  });

  test('closes, and tells what it could not write', async () => {
    await using disk = await ScratchDisk.mount(2 * 1024 * 1024);
    const { records, faults, path } = await openIndex(disk);
    const free = await disk.fill();
    records.touch(records.blob(digestNumber(0))?.id ?? 0);
    records.close();
    expect(faults).toEqual([full]);
    await free();
    const again = new Records(path, { onDamaged: expect.fail });
    expect(again.oldest(9999)).toHaveLength(500);
    again.close();
  });
});
