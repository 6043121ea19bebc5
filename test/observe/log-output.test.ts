// A log whose disk is full, whose reader is slow or gone: what is kept, what is lost, and that nobody waits for it.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LogDescriptor, LogOutput } from '../../src/observe/log-output.ts';

/** Takes so many bytes at a time, or fails; answers when told to. */
class FakeDescriptor implements LogDescriptor {
  tries = 0;
  fault: string | undefined;
  atOnce = Number.POSITIVE_INFINITY;
  readonly #taken: Buffer[] = [];
  readonly #answers: (() => void)[] = [];

  get text(): string {
    return Buffer.concat(this.#taken).toString();
  }

  write(bytes: Buffer, done: Parameters<LogDescriptor['write']>[1]): void {
    this.#answers.push(() => {
      try {
        done(null, this.writeSync(bytes));
      } catch (error) {
        done(error as NodeJS.ErrnoException, 0);
      }
    });
  }

  writeSync(bytes: Buffer): number {
    this.tries++;
    if (this.fault) throw Object.assign(new Error(`${this.fault}: as the system says`), { code: this.fault });
    const taken = bytes.subarray(0, this.atOnce);
    this.#taken.push(taken);
    return taken.length;
  }

  /** All that was asked of it, and what is asked because of that. */
  answer(): void {
    for (let next = this.#answers.shift(); next; next = this.#answers.shift()) next();
  }
}

let to: FakeDescriptor;
let output: LogOutput;
const lost: (readonly [number, string])[] = [];
const large = `${'x'.repeat(1024 * 1024 - 1)}\n`;

beforeEach(() => {
  vi.useFakeTimers();
  lost.length = 0;
  to = new FakeDescriptor();
  output = new LogOutput(to);
  output.use((...told) => {
    lost.push(told);
    output.write(`lost ${told[0]}\n`);
  });
});

afterEach(() => {
  vi.useRealTimers();
});

function flushed(): { isDone: boolean } {
  const state = { isDone: false };
  output.flush(() => {
    state.isDone = true;
  });
  return state;
}

test('lines go out in their order, however little is taken at a time', () => {
  to.atOnce = 3;
  for (const line of ['one\n', 'zwölf\n', 'three\n']) output.write(line);
  to.answer();
  expect(to.text).toBe('one\nzwölf\nthree\n');
});

describe.each([
  ['a full disk', 'ENOSPC', 1000, 'ENOSPC: as the system says'],
  ['a slow reader', 'EAGAIN', 10, 'its reader is too slow'],
])('%s', (_, fault, pauseMs, why) => {
  test('is tried again after a while, not at once, and what waited comes whole', () => {
    output.write('two\n');
    to.fault = fault;
    to.answer();
    const { tries } = to;
    for (let i = 0; i < 100; i++) output.write('three\n');
    vi.advanceTimersByTime(pauseMs - 1);
    to.answer();
    expect(to.tries).toBe(tries);
    to.fault = undefined;
    vi.advanceTimersByTime(1);
    to.answer();
    expect(to.text).toBe(`two\n${'three\n'.repeat(100)}`);
    expect(lost).toEqual([]);
  });

  test('takes no more memory than a bound, and is told once of what that cost', () => {
    to.fault = fault;
    output.write('first\n');
    to.answer();
    for (let i = 0; i < 20; i++) output.write(large);
    expect(lost).toEqual([]);
    to.fault = undefined;
    vi.advanceTimersByTime(pauseMs);
    to.answer();
    output.write('last\n');
    to.answer();
    expect(lost).toEqual([[12, why]]);
    expect(to.text.replaceAll(large, 'large\n')).toBe(`first\n${'large\n'.repeat(8)}lost 12\nlast\n`);
  });
});

test('a line that is too long for all is lost alone', () => {
  output.write('x'.repeat(9 * 1024 * 1024));
  output.write('one\n');
  to.answer();
  expect([to.text, lost]).toEqual(['one\nlost 1\n', [[1, 'no room']]]);
});

test('a reader that left is not asked again', () => {
  to.fault = 'EPIPE';
  output.write('one\n');
  to.answer();
  output.write('two\n');
  vi.advanceTimersByTime(60_000);
  to.answer();
  output.flushSync();
  expect([to.tries, flushed().isDone]).toEqual([1, true]);
});

describe('a flush', () => {
  test('waits for what is on its way', () => {
    output.write('one\n');
    const flush = flushed();
    expect(flush.isDone).toBe(false);
    to.answer();
    expect(flush.isDone).toBe(true);
  });

  test('waits for no disk that is full', () => {
    to.fault = 'ENOSPC';
    output.write('one\n');
    const before = flushed();
    to.answer();
    expect([before.isDone, flushed().isDone]).toEqual([true, true]);
  });

  test('waits a second for a slow reader', () => {
    to.fault = 'EAGAIN';
    output.write('one\n');
    const flush = flushed();
    for (let ms = 0; ms < 990; ms += 10) {
      to.answer();
      vi.advanceTimersByTime(10);
    }
    expect(flush.isDone).toBe(false);
    vi.advanceTimersByTime(10);
    expect(flush.isDone).toBe(true);
  });
});

describe('at the end of the process', () => {
  beforeEach(() => {
    vi.useRealTimers();
  });

  test('what waits is written, but not what is on its way already', () => {
    output.write('one\n');
    output.write('two\n');
    to.atOnce = 2;
    output.flushSync();
    expect(to.text).toBe('two\n');
  });

  test('what was to be tried again is', () => {
    to.fault = 'EAGAIN';
    output.write('one\n');
    to.answer();
    output.write('two\n');
    to.fault = undefined;
    output.flushSync();
    expect(to.text).toBe('one\ntwo\n');
  });

  test.each([
    ['ENOSPC', 1, 1],
    ['EAGAIN', 2, 60],
  ])('%s holds nobody up for long', (fault, fewest, most) => {
    output.write('one\n');
    to.answer();
    to.tries = 0;
    to.fault = fault;
    output.write('two\n');
    output.write('three\n');
    const startedAt = performance.now();
    output.flushSync();
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(to.tries).toBeGreaterThanOrEqual(fewest);
    expect(to.tries).toBeLessThanOrEqual(most);
  });
});
