// The files of `--from`: how much of them is read, and what of them may reach a terminal.
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readListFiles } from '../../src/cli/image-list-files.ts';
import { directoryWith } from '../config/config-files.ts';

async function read(files: Readonly<Record<string, string>>) {
  const dir = directoryWith({});
  const paths: string[] = [];
  for (const [name, content] of Object.entries(files)) {
    paths.push(join(dir, name));
    await using file = await open(join(dir, name), 'w');
    await file.writeFile(content);
  }
  const leftOut: string[] = [];
  const listed = await readListFiles(paths, (line) => leftOut.push(line.replace(dir, '')));
  return { images: listed.map(({ image }) => image), leftOut };
}

test('one that has no end is not read for ever', async () => {
  const fifo = join(directoryWith({}), 'endless');
  execFileSync('mkfifo', [fifo]);
  const fault = readListFiles([fifo], () => {}).catch((error: Error) => error.message);
  await using endless = await open(fifo, 'w');
  const written = endless.writeFile(Buffer.alloc(34 * 1024 * 1024, 'redis\n')).catch(() => {});
  expect(await fault).toBe(`cannot read images from ${fifo}: it is larger than 32 MiB; split it`);
  await written;
});

test('what it says of what is left out is one line that a terminal may have', async () => {
  const compose = 'services:\n  "a\\e[2J\\u202eb\\x9b": {image: mine, build: .}\n  web: {image: nginx}\n';
  const pod =
    'kind: Pod\nmetadata: {name: "a\\nleft out: forged"}\nspec: {containers: [{image: "A\\x9b"}, {image: redis}]}\n';
  const dockerfile = 'FROM \u001b]0;x\u0007$GONE\nFROM alpine\n';
  expect(await read({ 'compose.yaml': compose, 'pod.yaml': pod, Dockerfile: dockerfile })).toEqual({
    images: ['nginx', 'redis', 'alpine'],
    leftOut: [
      '/compose.yaml: services.a?[2J?b?: its image is built, not pulled',
      '/pod.yaml: Pod a?left out: forged: "A?" is not an image',
      '/Dockerfile: line 1: ?]0;x?$GONE: GONE has no default',
    ],
  });
});

test('a line of it is short, whatever stands in the file', async () => {
  const { leftOut } = await read({ Dockerfile: `FROM ${'$GONE'.repeat(10_000)}\nFROM alpine\n` });
  expect(leftOut[0]?.length).toBeLessThan(600);
});
