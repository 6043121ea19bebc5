// Room for the cache: what is free beside what must stay free, files that can still be made, and whether bytes can be written.
import { open, rm, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../../config/schema.ts';
import type { Size } from '../../config/units.ts';
import { Layout } from '../../store/layout.ts';
import { shortBytes } from '../amounts.ts';
import { type Finding, one } from './finding.ts';

export interface DiskFigures {
  readonly total: number;
  readonly free: number;
  /** 0: this file system counts none. */
  readonly files: number;
  readonly filesFree: number;
}

export interface DiskTools {
  readonly measure?: (dir: string) => Promise<DiskFigures>;
  readonly write?: (path: string) => Promise<void>;
}

const fewFiles = 10_000;

export async function lookAtDisk(
  { dir, maxSize, minFree }: Config['cache'],
  { measure = measureDisk, write = writeAndRemove }: DiskTools = {},
): Promise<readonly Finding[]> {
  const check = 'disk';
  const there = await nearest(resolve(dir));
  const { total, free, files, filesFree } = await measure(there);
  const [limit, kept] = [bytesOf(maxSize, total), bytesOf(minFree, total)];
  const findings: Finding[] = [];
  const add = (mark: Finding['mark'], what: string, remedy: string) => findings.push({ check, mark, what, remedy });

  const says = `${shortBytes(free)} of ${shortBytes(total)} are free at ${dir}`;
  if (kept >= total)
    add(
      'fail',
      `${says}: all of it is to stay free (cache.minFree)`,
      'set cache.minFree lower, or choose a larger disk',
    );
  else if (free < kept / 2)
    add('fail', `${says}: less than half of what is to stay free (cache.minFree, ${shortBytes(kept)})`, makeRoom);
  else if (free < kept)
    add('warn', `${says}: less than is to stay free (cache.minFree, ${shortBytes(kept)})`, makeRoom);
  if ('bytes' in maxSize && limit > total)
    add(
      'warn',
      `cache.maxSize is ${shortBytes(limit)}, and the disk has ${shortBytes(total)}`,
      'set cache.maxSize to what the disk can give',
    );
  if (filesFree < Math.min(fewFiles, files / 100))
    add(
      'fail',
      `only ${filesFree} more files can be made at ${dir}, of ${files}`,
      'remove small files from this disk, or make its file system anew with more inodes',
    );

  const spools = new Layout(resolve(dir)).spools;
  const place = there === resolve(dir) ? await nearest(spools) : there;
  await write(join(place, `trash-doctor-${process.pid}`)).catch((error: NodeJS.ErrnoException) =>
    add(
      'fail',
      `nothing can be written at ${place}: ${error.code ?? error.message}`,
      'mend its permissions, its mount or its disk: pulls are streamed past it until then',
    ),
  );
  return findings.length > 0 ? findings : one({ check, mark: 'ok', what: `${says}, and can be written` });
}

const makeRoom = 'remove what else is on this disk, or move cache.dir to one with more room';

/** What is not made yet will be where its folder is. */
async function nearest(dir: string): Promise<string> {
  for (let at = dir; ; at = dirname(at)) {
    const isThere = await statfs(at).then(
      () => true,
      () => false,
    );
    if (isThere || dirname(at) === at) return at;
  }
}

async function measureDisk(dir: string): Promise<DiskFigures> {
  const { blocks, bavail, bsize, files, ffree } = await statfs(dir);
  return { total: blocks * bsize, free: bavail * bsize, files, filesFree: ffree };
}

/** In the folder of the spools it would be cleared away at the next start. */
async function writeAndRemove(path: string): Promise<void> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(Buffer.alloc(4096));
      await file.datasync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

function bytesOf(size: Size, total: number): number {
  return 'share' in size ? size.share * total : size.bytes;
}
