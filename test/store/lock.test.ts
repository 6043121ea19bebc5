// One process a cache directory, seen from two processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockDirectory } from '../../src/store/lock.ts';
import { tempDir } from '../support/temp-dir.ts';

const lockModule = new URL('../../src/store/lock.ts', import.meta.url).href;
const inUse = (dir: string) => `cache.dir is in use: ${dir}: another Stillwater runs on it; stop that one`;

/** Another process that tries to lock, says how that went, and lives on until its input ends. */
class Rival implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly said: Promise<string>;

  constructor(dir: string) {
    const program = `import { lockDirectory } from ${JSON.stringify(lockModule)};
      let lock;
      try { lock = lockDirectory(${JSON.stringify(join(dir, 'lock'))}, ${JSON.stringify(dir)}); console.log('locked'); }
      catch (error) { console.log(error.message); }
      process.stdin.on('data', () => { lock?.release(); console.log('released'); });`;
    this.#child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program]);
    this.#exited = once(this.#child, 'exit');
    this.said = this.#line();
  }

  async release(): Promise<void> {
    const answer = this.#line();
    this.#child.stdin?.write('release\n');
    await answer;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #line(): Promise<string> {
    const [chunk] = await once(this.#child.stdout ?? this.#child, 'data');
    return String(chunk).trim();
  }
}

describe('a lock', () => {
  test('keeps another process out, which says why', async () => {
    await using dir = await tempDir('lock');
    const lock = lockDirectory(join(dir.path, 'lock'), dir.path);
    await using rival = new Rival(dir.path);
    expect(await rival.said).toContain(inUse(dir.path));
    lock.release();
  });

  test('of another process keeps us out until it releases', async () => {
    await using dir = await tempDir('lock');
    await using rival = new Rival(dir.path);
    expect(await rival.said).toBe('locked');
    expect(() => lockDirectory(join(dir.path, 'lock'), dir.path)).toThrow(inUse(dir.path));
    await rival.release();
    lockDirectory(join(dir.path, 'lock'), dir.path).release();
  });

  test('is free again once its holder was killed', async () => {
    await using dir = await tempDir('lock');
    await using rival = new Rival(dir.path);
    expect(await rival.said).toBe('locked');
    await rival.kill();
    lockDirectory(join(dir.path, 'lock'), dir.path).release();
  });

  test('keeps a second mirror of the same process out as well', async () => {
    await using dir = await tempDir('lock');
    const lock = lockDirectory(join(dir.path, 'lock'), dir.path);
    expect(() => lockDirectory(join(dir.path, 'lock'), dir.path)).toThrow(inUse(dir.path));
    lock.release();
    lockDirectory(join(dir.path, 'lock'), dir.path).release();
  });

  test('that cannot be made names its file', async () => {
    await using dir = await tempDir('lock');
    const missing = join(dir.path, 'nowhere', 'lock');
    expect(() => lockDirectory(missing, dir.path)).toThrow(`cache.dir cannot be locked: ${missing}: `);
    await writeFile(join(dir.path, 'lock'), 'something that is no lock at all, long enough to be looked at'.repeat(20));
    expect(() => lockDirectory(join(dir.path, 'lock'), dir.path)).toThrow('cache.dir cannot be locked: ');
  });
});
