// Files replaced whole: what others see meanwhile, and what stays of the file that was there.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { editFile, readIfThere, replaceFile } from '../../src/access/edit-file.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stillwater-edit-'));
  file = join(directory, 'file');
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('makes a file that only its owner can read', async () => {
  await replaceFile(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(modeOf(file)).toBe('600');
  expect(readdirSync(directory)).toEqual(['file']);
});

test('keeps the permissions of a file that was there', async () => {
  writeFileSync(file, 'old');
  chmodSync(file, 0o640);
  await replaceFile(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(modeOf(file)).toBe('640');
});

test.runIf(process.getuid?.() === 0)('keeps the owner of a file that was there', async () => {
  writeFileSync(file, 'old');
  chownSync(file, 12, 34);
  await replaceFile(file, 'new');
  expect(statSync(file)).toMatchObject({ uid: 12, gid: 34 });
});

test('puts another file in its place, so that who reads the old one reads it whole', async () => {
  writeFileSync(file, 'old');
  const { ino } = statSync(file);
  await replaceFile(file, 'new');
  expect(statSync(file).ino).not.toBe(ino);
});

test('follows a link and leaves it one', async () => {
  mkdirSync(join(directory, 'real'));
  writeFileSync(join(directory, 'real/file'), 'old');
  symlinkSync('real/file', file);
  await replaceFile(file, 'new');
  expect(lstatSync(file).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(directory, 'real/file'), 'utf8')).toBe('new');
  expect(readdirSync(join(directory, 'real'))).toEqual(['file']);
});

test('leaves nothing behind when the file cannot be replaced', async () => {
  mkdirSync(file);
  await expect(replaceFile(file, 'new')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
  expect(readdirSync(directory)).toEqual(['file']);
});

test('needs the directory to be there', async () => {
  await expect(replaceFile(join(directory, 'gone/file'), 'new')).rejects.toThrow('ENOENT');
});

test('an edit begins with what is there, or with nothing', async () => {
  await editFile(file, (text) => `${text} one`);
  await editFile(file, (text) => `${text} two`);
  expect(await readIfThere(file)).toBe('undefined one two');
});

test('an edit that somebody else was faster than begins again', async () => {
  const seen: (string | undefined)[] = [];
  await editFile(file, (text) => {
    seen.push(text);
    if (seen.length === 1) writeFileSync(file, 'theirs');
    return `${text} and ours`;
  });
  expect(seen).toEqual([undefined, 'theirs']);
  expect(readFileSync(file, 'utf8')).toBe('theirs and ours');
});

test('an edit that throws changes nothing', async () => {
  writeFileSync(file, 'old');
  const edit = () => {
    throw new Error('no');
  };
  await expect(editFile(file, edit)).rejects.toThrow('no');
  expect(readFileSync(file, 'utf8')).toBe('old');
});
