// Last uses beside the file of tokens: written seldom, read back, and no reason to fail.
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LastUses, lastUsesFile, readLastUses } from '../../src/access/last-uses.ts';
import { newTokenText, Tokens, tokenHash } from '../../src/access/tokens.ts';

const createdAt = '2026-01-01T00:00:00.000Z';
const start = Date.parse(createdAt);
let tokensFile: string;
let sidecar: string;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const directory = mkdtempSync(join(tmpdir(), 'stillwater-uses-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  tokensFile = join(directory, 'tokens.json');
  sidecar = lastUsesFile(tokensFile);
});
afterEach(() => void vi.useRealTimers());

async function scene() {
  const clock = { ms: start };
  const text = newTokenText();
  const tokens = new Tokens({ now: () => clock.ms });
  tokens.use([
    { name: 'ci', sha256: tokenHash(text), createdAt },
    { name: 'idle', sha256: 'b'.repeat(64), createdAt },
  ]);
  const problems: string[] = [];
  const writes = vi.fn();
  const lastUses = new LastUses({
    tokensFile,
    onProblem: (problem) => problems.push(problem),
    tokens: {
      recall: (uses) => tokens.recall(uses),
      lastUses: () => {
        writes();
        return tokens.lastUses();
      },
    },
  });
  await lastUses.start();
  return { clock, tokens, problems, lastUses, use: () => tokens.find(text), writes };
}

describe('last uses', () => {
  test('are written within a minute, for this user alone', async () => {
    const { use, lastUses } = await scene();
    use();
    vi.advanceTimersByTime(59_999);
    expect(await readLastUses(tokensFile)).toEqual(new Map());
    vi.advanceTimersByTime(1);
    await vi.waitFor(() => expect(readFileSync(sidecar, 'utf8')).toBe(`{\n  "ci": "${createdAt}"\n}\n`));
    expect(statSync(sidecar).mode & 0o777).toBe(0o600);
    await lastUses.stop();
  });

  test('are written at the stop, and not after it', async () => {
    const { use, lastUses, clock, writes } = await scene();
    use();
    await lastUses.stop();
    expect(await readLastUses(tokensFile)).toEqual(new Map([['ci', start]]));
    clock.ms += 5000;
    use();
    writes.mockClear();
    vi.advanceTimersByTime(600_000);
    await lastUses.stop();
    expect(writes).not.toHaveBeenCalled();
  });

  test('are not written again while nothing is used', async () => {
    const { use, lastUses } = await scene();
    use();
    vi.advanceTimersByTime(60_000);
    await vi.waitFor(() => statSync(sidecar));
    const { ino } = statSync(sidecar);
    vi.advanceTimersByTime(600_000);
    await lastUses.stop();
    expect(statSync(sidecar).ino).toBe(ino);
  });

  test('of nobody make no file', async () => {
    const { lastUses } = await scene();
    await lastUses.stop();
    expect(() => statSync(sidecar)).toThrow('ENOENT');
  });

  test('of the process before are kept, of tokens that are still there', async () => {
    writeFileSync(
      sidecar,
      JSON.stringify({ idle: '2025-12-01T00:00:00Z', gone: '2025-12-01T00:00:00Z', odd: 'never' }),
    );
    const { use, lastUses } = await scene();
    use();
    await lastUses.stop();
    expect(Object.fromEntries(await readLastUses(tokensFile))).toEqual({ ci: start, idle: Date.parse('2025-12-01') });
  });

  test.each(['', 'not JSON', 'null', '[]', '"x"', '{"ci": {}}'])('before are none in a file of %j', async (content) => {
    writeFileSync(sidecar, content);
    expect(await readLastUses(tokensFile)).toEqual(new Map());
    const { lastUses, tokens } = await scene();
    expect(tokens.lastUses().size).toBe(0);
    await lastUses.stop();
  });

  describe('that cannot be written', () => {
    const minutes = async (count: number, { clock, use }: Awaited<ReturnType<typeof scene>>) => {
      for (; count > 0; count--) {
        clock.ms += 60_000;
        use();
        await vi.advanceTimersByTimeAsync(60_000);
      }
    };

    test('are a problem told once', async () => {
      const running = await scene();
      mkdirSync(sidecar);
      await minutes(3, running);
      await running.lastUses.stop();
      const problem = `the last uses of tokens cannot be written: ${sidecar}: EISDIR; let this user write there to see them`;
      expect(running.problems).toEqual([problem]);
    });

    test('are a problem told again after it had gone', async () => {
      const running = await scene();
      mkdirSync(sidecar);
      await minutes(1, running);
      await vi.waitFor(() => expect(running.problems).toHaveLength(1));
      rmdirSync(sidecar);
      await minutes(1, running);
      await vi.waitFor(async () => expect((await readLastUses(tokensFile)).get('ci')).toBe(running.clock.ms));
      rmSync(sidecar);
      mkdirSync(sidecar);
      await minutes(1, running);
      await running.lastUses.stop();
      expect(running.problems).toHaveLength(2);
    });
  });

  test('leave no timer behind', async () => {
    const { lastUses } = await scene();
    expect(vi.getTimerCount()).toBe(1);
    await lastUses.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
