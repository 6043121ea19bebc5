// The file system under the cache: what is its fault, and when it is well again.
import { statfsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Disk, isDiskFault, isDiskFull } from '../../src/store/disk.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';
import { tempDir } from '../support/temp-dir.ts';
import { requireRoot } from '../support/tool.ts';

afterEach(() => {
  vi.useRealTimers();
});

const errno = (code: string, more: object = {}) => Object.assign(new Error(`${code}: refused`), { code, ...more });
const sqlite = (errcode: number) => errno('ERR_SQLITE_ERROR', { errcode });

/** A disk whose probes fail until `mend`, and what was heard of it. */
function brokenDisk() {
  const heard: (string | undefined)[] = [];
  const lines: string[] = [];
  let trouble: Error | undefined = errno('ENOSPC');
  const probe = vi.fn(async () => {
    if (trouble) throw trouble;
  });
  const log = pino({ base: null, timestamp: false }, { write: (line: string) => lines.push(line) });
  const disk = new Disk({
    dir: '/nowhere',
    log,
    probe,
    probeEveryMs: 5000,
    onChange: (problem) => heard.push(problem),
  });
  const breakDown = (error: Error | undefined) => {
    trouble = error;
  };
  return { disk, probe, heard, lines, breakDown, mend: () => breakDown(undefined) };
}

describe('an error is the fault of the disk', () => {
  test.each(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ESTALE', 'ENODEV', 'ENXIO'])('when it is %s', (code) => {
    expect(isDiskFault(errno(code))).toBe(true);
  });

  test.each([
    ['READONLY', 8],
    ['IOERR', 10],
    ['FULL', 13],
    ['CANTOPEN', 14],
    ['IOERR_WRITE', 10 | (3 << 8)],
    ['READONLY_DBMOVED', 8 | (4 << 8)],
  ])('when it is SQLite with %s', (_, errcode) => {
    expect(isDiskFault(sqlite(errcode))).toBe(true);
  });

  test('when a file may not be written any more', () => {
    expect(isDiskFault(errno('EACCES', { path: '/cache/v1/spools/x', syscall: 'open' }))).toBe(true);
  });

  test.each([
    ['a descriptor too many', errno('EMFILE')],
    ['a file that is gone', errno('ENOENT', { path: '/x' })],
    ['a firewall', errno('EPERM', { syscall: 'connect', address: '127.0.0.1' })],
    ['a connection that was reset', errno('ECONNRESET')],
    ['a damaged index', sqlite(11)],
    ['a broken constraint', sqlite(19)],
    ['SQLite without a code', errno('ERR_SQLITE_ERROR')],
    ['a number that is no code of SQLite', errno('EOTHER', { errcode: 13 })],
    ['nothing', undefined],
    ['a text', 'ENOSPC'],
  ])('but not when it is %s', (_, error) => {
    expect(isDiskFault(error)).toBe(false);
    expect(isDiskFull(error)).toBe(false);
  });

  test('and full is only one of its faults', () => {
    for (const error of [errno('ENOSPC'), errno('EDQUOT'), sqlite(13)]) expect(isDiskFull(error)).toBe(true);
    for (const error of [errno('EROFS'), errno('EIO'), sqlite(8), sqlite(10)]) expect(isDiskFull(error)).toBe(false);
  });
});

describe('a disk', () => {
  test('tells what it has', async () => {
    await using dir = await tempDir('disk');
    const { total, free } = await new Disk({ dir: dir.path }).space();
    const { blocks, bsize } = statfsSync(dir.path);
    expect(total).toBe(blocks * bsize);
    expect(free).toBeGreaterThan(0);
    expect(free).toBeLessThanOrEqual(total);
  });

  test('makes its folder again when somebody removed it', async () => {
    await using dir = await tempDir('disk');
    const spools = join(dir.path, 'v1', 'spools');
    expect((await new Disk({ dir: spools }).space()).total).toBeGreaterThan(0);
    expect(await readdir(spools)).toEqual([]);
  });

  test('has no problem until somebody reports one, and none of others', () => {
    const { disk, heard } = brokenDisk();
    expect(disk.problem).toBeUndefined();
    expect(disk.report(errno('ECONNRESET'))).toBe(false);
    expect(disk.problem).toBeUndefined();
    expect(heard).toEqual([]);
    disk.close();
  });

  test('with a problem is tried until it takes bytes, and both are told once', async () => {
    vi.useFakeTimers();
    const { disk, probe, heard, lines, mend } = brokenDisk();
    expect(disk.report(errno('ENOSPC'))).toBe(true);
    expect(disk.report(errno('ENOSPC'))).toBe(true);
    expect(disk.problem).toBe('ENOSPC: refused');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(probe).toHaveBeenCalledTimes(3);
    expect(disk.problem).toBe('ENOSPC: refused');
    expect(lines).toHaveLength(1);
    mend();
    await vi.advanceTimersByTimeAsync(5000);
    expect(disk.problem).toBeUndefined();
    expect(heard).toEqual(['ENOSPC: refused', undefined]);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('"level":40');
    expect(lines[1]).toContain('the disk takes bytes again');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('names the problem it has now', async () => {
    vi.useFakeTimers();
    const { disk, heard, breakDown } = brokenDisk();
    disk.report(errno('ENOSPC'));
    breakDown(errno('EROFS'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(heard).toEqual(['ENOSPC: refused', 'EROFS: refused']);
    disk.close();
  });

  test('can have a problem again', async () => {
    vi.useFakeTimers();
    const { disk, heard, mend } = brokenDisk();
    mend();
    for (let time = 0; time < 2; time++) {
      disk.report(errno('EIO'));
      await vi.advanceTimersByTimeAsync(5000);
    }
    expect(heard).toEqual(['EIO: refused', undefined, 'EIO: refused', undefined]);
  });

  test('that is closed is tried no more, not even by a probe that is under way', async () => {
    vi.useFakeTimers();
    const gate = Promise.withResolvers<void>();
    const heard: unknown[] = [];
    const disk = new Disk({ dir: '/', probe: () => gate.promise, onChange: (problem) => heard.push(problem) });
    disk.report(errno('EIO'));
    await vi.advanceTimersByTimeAsync(5000);
    disk.close();
    gate.reject(errno('EIO'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard).toEqual(['EIO: refused']);
    expect(disk.report(errno('EIO'))).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('leaves nothing of its probe behind', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await using dir = await tempDir('disk');
    const well = Promise.withResolvers<void>();
    const disk = new Disk({ dir: dir.path, onChange: (problem) => problem === undefined && well.resolve() });
    disk.report(errno('ENOSPC'));
    vi.advanceTimersByTime(5000);
    await well.promise;
    expect(await readdir(dir.path)).toEqual([]);
  });
});

describe.skipIf(!requireRoot())('a real disk', () => {
  test('that is full is full to files and to SQLite, and is well when there is room', async () => {
    await using scratch = await ScratchDisk.mount(4 * 1024 * 1024);
    const database = new DatabaseSync(join(scratch.path, 'index.db'));
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE rows (bytes)');
    const makeRoom = await scratch.fill();
    const faults: unknown[] = [];
    await writeFile(join(scratch.path, 'file'), Buffer.alloc(1 << 20)).catch((error) => faults.push(error));
    try {
      for (let row = 0; row < 100; row++) database.exec('INSERT INTO rows VALUES (randomblob(100000))');
    } catch (error) {
      faults.push(error);
    }
    expect(faults).toHaveLength(2);
    for (const fault of faults) expect([isDiskFault(fault), isDiskFull(fault)]).toEqual([true, true]);
    database.close();

    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let next = Promise.withResolvers<string | undefined>();
    const disk = new Disk({ dir: scratch.path, onChange: (problem) => next.resolve(problem) });
    disk.report(new Error('not yet'));
    disk.report(errno('ENOSPC'));
    next = Promise.withResolvers();
    vi.advanceTimersByTime(5000);
    expect(await next.promise).toContain('no space left');
    await rm(join(scratch.path, 'file'), { force: true });
    await makeRoom();
    next = Promise.withResolvers();
    await vi.waitFor(() => {
      vi.advanceTimersByTime(5000);
      expect(disk.problem).toBeUndefined();
    });
    expect(await next.promise).toBeUndefined();
  });

  test('that became read-only is its fault too, to files and to SQLite', async () => {
    await using scratch = await ScratchDisk.mount(4 * 1024 * 1024);
    await mkdir(join(scratch.path, 'old'));
    const mend = await scratch.makeReadOnly();
    const faults: unknown[] = [];
    await writeFile(join(scratch.path, 'file'), 'x').catch((error) => faults.push(error));
    await rm(join(scratch.path, 'old'), { recursive: true }).catch((error) => faults.push(error));
    try {
      new DatabaseSync(join(scratch.path, 'index.db'));
    } catch (error) {
      faults.push(error);
    }
    expect(faults.map(isDiskFault)).toEqual([true, true, true]);
    expect(faults.map(isDiskFull)).toEqual([false, false, false]);
    await mend();
  });
});
