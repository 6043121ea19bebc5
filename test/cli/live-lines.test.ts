// Lines that are redrawn on a terminal.
import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LiveLines } from '../../src/cli/live-lines.ts';
import { showProgress } from '../../src/cli/progress.ts';

class Terminal extends Writable {
  readonly isTTY = true;
  readonly columns = 20;
  readonly rows = 5;
  written = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk;
    done();
  }

  /** What was written since, as text. */
  take(): string {
    const text = stripVTControlCharacters(this.written);
    this.written = '';
    return text;
  }
}

const showCursor = '\u001b[?25h';
let terminal: Terminal;

beforeEach(() => {
  terminal = new Terminal();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test('what is painted is drawn ten times a second, cut where the terminal ends', () => {
  let lines = ['short', 'x'.repeat(50)];
  using _live = new LiveLines(terminal, () => lines);
  vi.advanceTimersByTime(100);
  expect(terminal.take().trimEnd().split('\n')).toEqual(['short', 'x'.repeat(19)]);
  lines = Array.from({ length: 9 }, (_, index) => `line ${index}`);
  vi.advanceTimersByTime(100);
  const drawn = terminal.take();
  expect(drawn).toContain('line 3');
  expect(drawn).not.toContain('line 4');
});

test('what is said stays above', () => {
  using live = new LiveLines(terminal, () => ['painted']);
  live.draw();
  terminal.take();
  live.say('said');
  expect(terminal.take()).toMatch(/said\n[\s\S]*painted/);
});

test('a terminal gets nothing that it would obey', async () => {
  const foreign = 'a\u001b[2J\u009b\nb';
  using live = new LiveLines(terminal, () => [foreign]);
  live.say(foreign);
  expect(terminal.written).not.toContain('\u001b[2J');
  expect(terminal.take()).toMatch(/a\?\[2J\?\?b\n[\s\S]*a\?\[2J\?\?b/);
  const plain = Object.assign(new Terminal(), { isTTY: false });
  using progress = await showProgress(plain, () => []);
  progress.say(foreign);
  expect(plain.written).toBe('a?[2J??b\n');
});

test('at its end nothing is drawn any more, and the cursor is back', () => {
  // The cursor is hidden and shown there, whatever is drawn where.
  vi.spyOn(process, 'stderr', 'get').mockReturnValue(terminal as unknown as typeof process.stderr);
  const live = new LiveLines(terminal, () => ['painted']);
  live.draw();
  expect(terminal.written).toContain('\u001b[?25l');
  expect(terminal.written).not.toContain(showCursor);
  live[Symbol.dispose]();
  expect(terminal.written).toContain(showCursor);
  terminal.take();
  vi.advanceTimersByTime(1000);
  expect(terminal.take()).toBe('');
});

test('elsewhere than on a terminal, or when quiet, only what is said is written', async () => {
  const plain = Object.assign(new Terminal(), { isTTY: false });
  for (const [stream, isQuiet] of [
    [plain, false],
    [terminal, true],
  ] as const) {
    using progress = await showProgress(stream, () => ['painted'], { isQuiet });
    progress.say('said');
    vi.advanceTimersByTime(1000);
    expect(stream.written).toBe('said\n');
    expect(progress.isLive).toBe(false);
  }
  using progress = await showProgress(terminal, () => ['painted']);
  expect(progress.isLive).toBe(true);
});
