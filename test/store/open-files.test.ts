// Stored files that are open: one descriptor a blob, for all who read it, and for no longer than it is of use.
import { type FileHandle, open, readdir, readlink, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Content } from '../../src/store/content.ts';
import { OpenFiles } from '../../src/store/open-files.ts';
import { Gate } from '../support/gate.ts';
import { tempDir } from '../support/temp-dir.ts';
import { isPending, readFrom } from './scratch-store.ts';

afterEach(() => vi.useRealTimers());

const bytes = Buffer.from('the bytes of a blob');
const size = bytes.length;
const [one, two, three] = ['1', '2', '3'].map((name) => digestOf(Buffer.from(name))) as [Digest, Digest, Digest];

/** Files of the same bytes under the names of some digests; `opened` counts. */
async function scene({ most, gate }: { most?: number; gate?: Gate } = {}) {
  const dir = await tempDir('open');
  const pathOf = (digest: Digest) => join(dir.path, digest.slice(-8));
  for (const digest of [one, two, three]) await writeFile(pathOf(digest), bytes);
  const opened = vi.fn(async (digest: Digest): Promise<FileHandle | undefined> => {
    const file = await open(pathOf(digest), 'r').catch(() => undefined);
    await gate?.pass();
    return file;
  });
  const files = new OpenFiles({ open: opened, ...(most !== undefined && { most }) });
  const given: Content[] = [];
  const giving = <T extends Content | undefined>(content: T): T => {
    if (content) given.push(content);
    return content;
  };
  return {
    files,
    opened,
    pathOf,
    now: (digest: Digest) => giving(files.now(digest, size)),
    open: async (digest: Digest, length = size) => giving(await files.open(digest, length)),
    keeps(digest: Digest): boolean {
      const content = files.now(digest, size);
      void content?.close();
      return content !== undefined;
    },
    async got(digest: Digest): Promise<Content> {
      const content = await this.open(digest);
      if (!content) throw new Error('it is not there');
      return content;
    },
    /** Names of what this process has open of it, a descriptor each. */
    async descriptors(): Promise<string[]> {
      const paths = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
      const own = (await Promise.all(paths)).filter((path) => path.startsWith(`${dir.path}/`));
      return own.map((path) => path.slice(dir.path.length + 1));
    },
    async [Symbol.asyncDispose]() {
      for (const content of given) await content.close();
      await files.close();
      await dir.remove();
    },
  };
}

test('all who read a blob share one descriptor, and those who come next find it open', async () => {
  await using at = await scene();
  const contents = await Promise.all(Array.from({ length: 64 }, () => at.got(one)));
  contents.push(await at.got(one), at.now(one) as Content);
  expect(new Set(contents.map(({ fd }) => fd)).size).toBe(1);
  for (const content of contents) expect(await readFrom(content)).toEqual(bytes);
  for (const content of contents) await content.close();
  expect(await readFrom(at.now(one) as Content, 4)).toEqual(bytes.subarray(4));
  expect(at.opened).toHaveBeenCalledTimes(1);
  expect(await at.descriptors()).toHaveLength(1);
});

test('nothing is open that nobody opened, and what is not there leaves nothing', async () => {
  await using at = await scene();
  expect(at.now(one)).toBeUndefined();
  await rm(at.pathOf(one));
  expect(await at.open(one)).toBeUndefined();
  await writeFile(at.pathOf(one), bytes);
  await at.got(one);
});

test('a file of another length is not there', async () => {
  await using at = await scene();
  expect(await at.open(one, size + 1)).toBeUndefined();
  expect(await at.descriptors()).toEqual([]);
});

test.each<[string, (path: string) => Promise<void>]>([
  ['removed', (path) => rm(path)],
  ['cut short', (path) => truncate(path, size - 1)],
])('an open file that something else %s is not given again, and closed', async (_what, damage) => {
  await using at = await scene();
  await (await at.got(one)).close();
  await damage(at.pathOf(one));
  expect(at.now(one)).toBeUndefined();
  expect(await at.open(one)).toBeUndefined();
  await vi.waitFor(async () => expect(await at.descriptors()).toEqual([]));
});

test('an open file that something else replaced is opened anew', async () => {
  await using at = await scene();
  const before = await at.got(one);
  await rename(at.pathOf(two), at.pathOf(one));
  const after = await at.got(one);
  expect(await readFrom(after)).toEqual(bytes);
  expect(after.fd).not.toBe(before.fd);
  await before.close();
  expect(await at.descriptors()).toEqual([at.pathOf(one).split('/').at(-1)]);
});

test('one that is replaced while it is opened is given all the same: its bytes are no others', async () => {
  const gate = new Gate();
  await using at = await scene({ gate });
  const opening = at.open(one);
  await gate.reached;
  await rename(at.pathOf(two), at.pathOf(one));
  gate.open();
  expect(await readFrom((await opening) as Content)).toEqual(bytes);
});

test('what is forgotten is closed at once, or by its last reader, who reads to the end', async () => {
  await using at = await scene();
  await (await at.got(one)).close();
  await at.files.forget(one);
  expect(await at.descriptors()).toEqual([]);
  const [first, last] = [await at.got(one), await at.got(one)];
  await at.files.forget(one);
  expect(at.now(one)).toBeUndefined();
  await first.close();
  await first.close();
  expect(await readFrom(last)).toEqual(bytes);
  await last.close();
  expect(await at.descriptors()).toEqual([]);
});

test('what is forgotten is closed when the call resolves', async () => {
  await using at = await scene();
  await (await at.got(one)).close();
  const file = (await at.opened.mock.results[0]?.value) as FileHandle;
  const [close, gate] = [file.close.bind(file), new Gate()];
  vi.spyOn(file, 'close').mockImplementation(() => gate.pass().then(close));
  const forgotten = at.files.forget(one);
  await gate.reached;
  expect(await isPending(forgotten)).toBe(true);
  gate.open();
  await forgotten;
});

test('what is forgotten while it is opened is not kept, and is opened anew for who comes after', async () => {
  const gate = new Gate();
  await using at = await scene({ gate });
  const before = at.open(one);
  await gate.reached;
  await at.files.forget(one);
  const after = at.open(one);
  expect(at.opened).toHaveBeenCalledTimes(2);
  gate.open();
  const contents = [await before, await after] as [Content, Content];
  expect(contents[0].fd).not.toBe(contents[1].fd);
  for (const content of contents) await content.close();
  expect(await at.descriptors()).toHaveLength(1);
});

test('only so many are kept, those that were read last; who reads another has it to the end', async () => {
  await using at = await scene({ most: 2 });
  const reading = await at.got(one);
  await (await at.got(two)).close();
  await (await at.got(three)).close();
  expect(at.now(one)).toBeUndefined();
  expect(await readFrom(reading)).toEqual(bytes);
  await reading.close();
  expect(await at.descriptors()).toHaveLength(2);
  await (await at.got(two)).close();
  await (await at.got(one)).close();
  expect([one, two, three].map(at.keeps)).toEqual([true, true, false]);
});

test('what nobody read for a while is closed, and nothing goes on when nothing is open', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  await using at = await scene();
  const reading = await at.got(one);
  await (await at.got(two)).close();
  await (await at.got(three)).close();
  vi.advanceTimersByTime(1000);
  await at.now(three)?.close();
  vi.advanceTimersByTime(1000);
  await vi.waitFor(async () => expect(await at.descriptors()).toHaveLength(2));
  expect([one, two, three].map(at.keeps)).toEqual([true, false, true]);
  await reading.close();
  vi.advanceTimersByTime(2000);
  expect(vi.getTimerCount()).toBe(0);
  await (await at.got(two)).close();
  vi.advanceTimersByTime(2000);
  await vi.waitFor(async () => expect(await at.descriptors()).toEqual([]));
});

test('one that cannot be opened is an error to all who waited, and tried again by who comes after', async () => {
  await using at = await scene();
  at.opened.mockRejectedValueOnce(new Error('too many open files'));
  const waiting = [at.open(one), at.open(one)];
  for (const { status } of await Promise.allSettled(waiting)) expect(status).toBe('rejected');
  expect(at.opened).toHaveBeenCalledTimes(1);
  expect(await readFrom(await at.got(one))).toEqual(bytes);
});

test('closed, it keeps nothing open, and goes on working', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  await using at = await scene();
  const reading = await at.got(one);
  await (await at.got(two)).close();
  await at.files.close();
  expect(await at.descriptors()).toHaveLength(1);
  expect(await readFrom(reading)).toEqual(bytes);
  const late = await at.got(three);
  expect(await readFrom(late)).toEqual(bytes);
  expect(vi.getTimerCount()).toBe(0);
  await late.close();
  await reading.close();
  expect(await at.descriptors()).toEqual([]);
});
