// The small disk of the proofs really is full, and really cannot be written.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ScratchDisk } from './scratch-disk.ts';
import { requireRoot } from './tool.ts';

const mebibyte = 1024 * 1024;

describe.skipIf(!requireRoot())('a scratch disk', () => {
  test('says what is used, can be full, and has room again', async () => {
    await using disk = await ScratchDisk.mount(8 * mebibyte);
    const before = disk.usedBytes();
    await writeFile(join(disk.path, 'one'), Buffer.alloc(mebibyte));
    expect(disk.usedBytes() - before).toBe(mebibyte);
    const empty = await disk.fill();
    await expect(writeFile(join(disk.path, 'two'), Buffer.alloc(mebibyte))).rejects.toThrow(/ENOSPC/);
    await empty();
    await writeFile(join(disk.path, 'two'), Buffer.alloc(mebibyte));
  });

  test('can be read-only for a while', async () => {
    await using disk = await ScratchDisk.mount(8 * mebibyte);
    const restore = await disk.makeReadOnly();
    await expect(writeFile(join(disk.path, 'one'), 'x')).rejects.toThrow(/EROFS/);
    await restore();
    await writeFile(join(disk.path, 'one'), 'x');
  });
});
