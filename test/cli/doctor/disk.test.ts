// Room for the cache: what is too little of it, beside what the configuration keeps free.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DiskFigures, type DiskTools, lookAtDisk } from '../../../src/cli/doctor/disk.ts';
import { defaultConfig } from '../../../src/config/load.ts';
import { directoryWith } from '../../config/config-files.ts';

const gib = 1024 ** 3;
const plenty: DiskFigures = { total: 100 * gib, free: 50 * gib, files: 1_000_000, filesFree: 900_000 };

function look(figures: Partial<DiskFigures>, cache: object = {}, tools: DiskTools = {}) {
  const measure = async () => ({ ...plenty, ...figures });
  return lookAtDisk({ ...defaultConfig().cache, dir: directoryWith({}), ...cache }, { measure, ...tools });
}

describe('the disk', () => {
  test.each([
    ['has room', {}, {}, []],
    ['has a little more than is to stay free', { free: 2 * gib }, {}, []],
    ['has less', { free: 2 * gib - 1 }, {}, ['warn']],
    ['has less than half of it', { free: gib - 1 }, {}, ['fail']],
    ['is as large as what is to stay free', { total: 2 * gib, free: gib }, {}, ['fail']],
    ['has less than its share', { free: 4 * gib }, { minFree: { share: 0.05 } }, ['warn']],
    ['is smaller than the cache may be', {}, { maxSize: { bytes: 200 * gib } }, ['warn']],
    ['has room for no more files', { filesFree: 9_999 }, {}, ['fail']],
    ['has few files, and room for a part of them', { files: 1000, filesFree: 11 }, {}, []],
    ['has few files, and room for hardly any', { files: 1000, filesFree: 9 }, {}, ['fail']],
    ['counts no files', { files: 0, filesFree: 0 }, {}, []],
  ])('%s', async (_what, figures, cache, marks) => {
    const findings = await look(figures, cache);
    expect(findings.filter(({ mark }) => mark !== 'ok').map(({ mark }) => mark)).toEqual(marks);
    expect(findings.filter(({ mark, remedy }) => mark !== 'ok' && !remedy)).toEqual([]);
  });

  test('that refuses to be written is told with what the system said', async () => {
    const write = () => Promise.reject(Object.assign(new Error('read-only'), { code: 'EROFS' }));
    const findings = await look({}, {}, { write });
    expect(findings).toMatchObject([{ mark: 'fail', what: expect.stringContaining('EROFS') }]);
  });

  test('is written where the spools are, and nothing is left there', async () => {
    const dir = directoryWith({});
    mkdirSync(join(dir, 'v1', 'spools'), { recursive: true });
    const written: string[] = [];
    await look({}, { dir }, { write: async (path) => void written.push(path) });
    expect(written[0]).toMatch(new RegExp(`^${join(dir, 'v1', 'spools')}/trash-`));
    expect(await lookAtDisk({ ...defaultConfig().cache, dir, minFree: { bytes: 1 } })).toMatchObject([{ mark: 'ok' }]);
    expect(readdirSync(join(dir, 'v1', 'spools'))).toEqual([]);
  });

  test('of a cache that is not made yet is that of its folder, and stays as it is', async () => {
    const dir = directoryWith({});
    const asked: string[] = [];
    const measure = async (at: string) => {
      asked.push(at);
      return plenty;
    };
    const cache = { ...defaultConfig().cache, dir: join(dir, 'not', 'yet') };
    expect(await lookAtDisk(cache, { measure })).toMatchObject([{ mark: 'ok' }]);
    expect(asked).toEqual([dir]);
    expect(existsSync(join(dir, 'not'))).toBe(false);
  });
});
