// Where an export goes: what is at the path stays what it is, and half a tar stays nowhere.
import { execFileSync } from 'node:child_process';
import { mkdir, open, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openExportOutput } from '../../src/cli/export-output.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';

let dir: TempDir;
const never = new AbortController().signal;
const at = (...names: readonly string[]) => join(dir.path, ...names);

beforeEach(async () => {
  dir = await tempDir('export');
});

afterEach(() => dir.remove());

async function written(path: string, text: string): Promise<void> {
  await using output = await openExportOutput(path, never);
  await output.write(Buffer.from(text));
  await output.commit();
}

describe('a file', () => {
  test('is there when it is whole, and not before', async () => {
    await writeFile(at('a.tar'), 'before');
    await using output = await openExportOutput(at('a.tar'), never);
    await output.write(Buffer.from('on'));
    await output.write(Buffer.from('e'));
    expect(await readFile(at('a.tar'), 'utf8')).toBe('before');
    await output.commit();
    expect([await readFile(at('a.tar'), 'utf8'), await readdir(dir.path)]).toEqual(['one', ['a.tar']]);
  });

  test('that does not get whole is as it was', async () => {
    {
      await using output = await openExportOutput(at('a.tar'), never);
      await output.write(Buffer.from('half'));
    }
    expect(await readdir(dir.path)).toEqual([]);
  });

  test.each([
    ['gone/a.tar', 'its directory does not exist; make it first'],
    ['folder', 'it is a directory'],
    ['circle', 'its links go in a circle'],
    ['to-gone', 'its directory does not exist; make it first'],
    ['socket', 'ENXIO'],
  ])('%s cannot be: %s', async (name, why) => {
    await mkdir(at('folder'));
    await symlink('circle', at('circle'));
    await symlink('gone/a.tar', at('to-gone'));
    const server = createServer().listen(at('socket'));
    await expect(openExportOutput(at(name), never)).rejects.toThrow(`cannot write ${at(name)}: ${why}`);
    server.close();
  });
});

describe('a link', () => {
  test.each([
    ['to a file', { link: 'to/a.tar' }, 'to/a.tar'],
    ['above a linked directory', { link: 'alias/../b.tar' }, 'to/b.tar'],
    ['in a linked directory, above it', { link: 'alias/second', 'to/deep/second': '../b.tar' }, 'to/b.tar'],
    ['to a link', { link: 'second', second: 'to/a.tar' }, 'to/a.tar'],
    ['by its whole path', { link: '/to/a.tar' }, 'to/a.tar'],
  ])('%s is followed, whether something is there or not', async (_, links, target) => {
    await mkdir(at('to', 'deep'), { recursive: true });
    await symlink(at('to', 'deep'), at('alias'));
    for (const [name, to] of Object.entries(links)) await symlink(to.startsWith('/') ? at(to) : to, at(name));
    const before = await readlink(at('link'));
    for (const text of ['new', 'again']) {
      await written(at('link'), text);
      expect([await readlink(at('link')), await readFile(at(target), 'utf8')]).toEqual([before, text]);
    }
    expect((await readdir(dir.path, { recursive: true })).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});

describe('a pipe', () => {
  beforeEach(() => {
    execFileSync('mkfifo', [at('pipe')]);
  });

  test('gets all of it, when its reader comes', async () => {
    const read = readFile(at('pipe'));
    const bytes = Buffer.alloc(1_000_000, 'pipe');
    await written(at('pipe'), bytes.toString());
    expect((await read).equals(bytes)).toBe(true);
  });

  test('without a reader is waited for until that is ended', async () => {
    const stopping = new AbortController();
    const opened = openExportOutput(at('pipe'), stopping.signal);
    stopping.abort(new Error('enough'));
    await expect(opened).rejects.toThrow('enough');
  });

  test('that nobody reads on is left when that is ended, and is told when its reader leaves', async () => {
    for (const how of ['enough', 'left']) {
      const stopping = new AbortController();
      const reading = open(at('pipe'), 'r');
      await using output = await openExportOutput(at('pipe'), stopping.signal);
      const reader = await reading;
      const told = expect(output.write(Buffer.alloc(1_000_000))).rejects.toThrow(
        how === 'left' ? 'its reader has left' : /^cannot write/,
      );
      if (how === 'enough') stopping.abort();
      else await reader.close();
      await told;
      if (how === 'enough') await reader.close();
    }
  });
});
