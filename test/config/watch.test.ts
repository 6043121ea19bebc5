// Files that change under us: in place, by a rename, or by the swap of a link as a cluster does it.
import { mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Changes, watchFiles } from '../../src/config/watch.ts';
import { run } from '../support/command.ts';
import { Gate } from '../support/gate.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

let dir: TempDir;
let opened: DisposableStack;
const file = (name: string) => join(dir.path, name);

beforeEach(async () => {
  dir = await tempDir('watch');
  opened = new DisposableStack();
});
afterEach(async () => {
  opened.dispose();
  await dir.remove();
});

/** Watches with a short breath, and waits until the first look has been. */
async function watch(names: readonly string[], onCall: (calls: number) => unknown = () => {}) {
  const counter = { calls: 0 };
  const onChange = () => {
    counter.calls += 1;
    return onCall(counter.calls);
  };
  opened.use(watchFiles([...names.map(file), file('probe')], onChange, { everyMs: 5 }));
  // Until it tells of the probe: what is written before its first look, it has seen.
  for (let round = 0; counter.calls === 0; round++) {
    await writeFile(file('probe'), String(round));
    await until('the probe', () => counter.calls > 0, { timeoutMs: 200 }).catch(() => {});
  }
  counter.calls = 0;
  return counter;
}

const told = (counter: { readonly calls: number }, calls = 1) => until('a call', () => counter.calls >= calls);

test.each<[string, () => Promise<unknown>]>([
  ['written in place', () => writeFile(file('a'), 'longer than before')],
  ['written in place with as many bytes', () => writeFile(file('a'), 'eno')],
  [
    'written with as many bytes and its old time',
    async () => {
      await writeFile(file('a'), 'two');
      await utimes(file('a'), 1000, 1000);
    },
  ],
  ['replaced by a rename', () => writeFile(file('new'), 'one').then(() => rename(file('new'), file('a')))],
  ['removed', () => rm(file('a'))],
])('a file that is %s is told of, once', async (_how, change) => {
  await writeFile(file('a'), 'one');
  await utimes(file('a'), 1000, 1000);
  const counter = await watch(['a']);
  await change();
  await told(counter);
  await writeFile(file('probe'), 'the end');
  await told(counter, 2);
  expect(counter.calls).toBe(2);
});

test('a file that appears is told of', async () => {
  const counter = await watch(['later']);
  await writeFile(file('later'), 'here');
  await told(counter);
});

test('files behind a link to a directory are told of together, when the link is swapped', async () => {
  for (const version of ['v1', 'v2']) {
    await mkdir(file(version));
    for (const name of ['tls.crt', 'tls.key']) await writeFile(join(file(version), name), version);
  }
  await symlink('v1', file('..data'));
  for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), file(name));
  const counter = await watch(['tls.crt', 'tls.key']);
  await symlink('v2', file('..data_tmp'));
  await rename(file('..data_tmp'), file('..data'));
  await told(counter);
  await writeFile(file('probe'), 'the end');
  await told(counter, 2);
  expect(counter.calls).toBe(2);
});

test('one change is not told of while the one before is still read, and then it is', async () => {
  const gate = new Gate();
  // The call for the probe stands at the gate.
  const counter = await watch(['a'], () => gate.pass());
  await writeFile(file('a'), 'first');
  await aWhile();
  expect(counter.calls).toBe(0);
  gate.open();
  await told(counter);
});

test('what goes wrong with the reading is told to nobody, and the next change is told of', async () => {
  const failures = [
    () => {
      throw new Error('now');
    },
    () => Promise.reject(new Error('later')),
  ];
  const counter = await watch(['a'], (calls) => failures[calls % 2]?.());
  for (const round of [1, 2, 3]) {
    await writeFile(file('a'), 'x'.repeat(round));
    await told(counter, round);
  }
});

test.each([
  ['nothing that stays as it is', 'aaaaaa', []],
  ['a change at the second look at it', 'abbbb', [2]],
  ['each change once', 'abbccb', [2, 4]],
  ['several changes when they have come to rest', 'abccc', [3]],
  ['nothing that was taken back', 'abaaa', []],
  ['somebody who never stops, all the same', 'abcdefghijklm', [5, 10]],
  ['somebody who went on after a rest', 'abbcdefgh', [2, 7]],
])('of what is seen look by look, it tells of %s', (_what, marks, due) => {
  const [first = '', ...seen] = marks;
  const changes = new Changes(first);
  expect(seen.flatMap((mark, index) => (changes.isDue(mark) ? [index + 1] : []))).toEqual(due);
});

test('a process that has nothing else to do is not kept by it', async () => {
  const module = JSON.stringify(join(import.meta.dirname, '../../src/config/watch.ts'));
  const program = `import { watchFiles } from ${module}; watchFiles([], () => {}, { everyMs: 3_600_000 });`;
  await run(process.execPath, ['--input-type=module', '--eval', program], { timeoutMs: 15_000 });
});

test('nothing is told once it has ended, and ending it twice does no harm', async () => {
  const counter = await watch(['a']);
  opened.dispose();
  await writeFile(file('a'), 'too late');
  await aWhile();
  expect(counter.calls).toBe(0);
});

test('a watch that ends while it looks tells nothing', async () => {
  const counter = { calls: 0 };
  const count = () => {
    counter.calls += 1;
  };
  const watches = Array.from({ length: 50 }, () => watchFiles([file('a')], count, { everyMs: 1 }));
  await aWhile();
  await writeFile(file('a'), 'changed');
  for (const one of watches) {
    await new Promise((resolve) => setImmediate(resolve));
    one[Symbol.dispose]();
    one[Symbol.dispose]();
  }
  const before = counter.calls;
  await aWhile();
  expect(counter.calls).toBe(before);
});

/** As long as another watch of the same breath takes for several changes. */
async function aWhile(): Promise<void> {
  const clock = file('clock');
  let ticks = 0;
  using _ = watchFiles(
    [clock],
    () => {
      ticks += 1;
    },
    { everyMs: 5 },
  );
  for (let round = 0; ticks < 3 && round < 100; round++) {
    await writeFile(clock, 'x'.repeat(round));
    const before = ticks;
    await until('a tick', () => ticks > before, { timeoutMs: 200 }).catch(() => {});
  }
}
