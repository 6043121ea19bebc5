// How long the credentials of a command are used, and when it is run again.
import pino from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { KeptCredentials } from '../../../src/upstream/credentials/kept-credentials.ts';
import { noCredentials } from '../../../src/upstream/credentials/login.ts';
import type { PrintedCredentials } from '../../../src/upstream/credentials/printed-credentials.ts';
import { Gate } from '../../support/gate.ts';
import { laterClock } from '../../support/later-clock.ts';
import { upstreamError } from '../upstream-scene.ts';

const minutes = 60;
/** The command fails. */
const fails = 'fails';

function scene(printed: (run: number) => PrintedCredentials | undefined | typeof fails) {
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(line) });
  let runs = 0;
  const fetch = async () => {
    runs += 1;
    const result = printed(runs);
    if (result === fails) throw noCredentials('registry.test', 'the command failed');
    return result;
  };
  const login = new KeptCredentials({ id: '1', name: 'registry.test', log, fetch });
  const password = async () => {
    const credentials = await login.credentials();
    return credentials && 'password' in credentials ? credentials.password : undefined;
  };
  return { login, password, warnings, runs: () => runs };
}

function numbered(run: number, expiresInSeconds?: number): PrintedCredentials {
  const expiresAt = expiresInSeconds === undefined ? undefined : Date.now() + expiresInSeconds * 1000;
  return { credentials: { username: 'robot', password: `p${run}` }, expiresAt };
}

describe('credentials', () => {
  test('are fetched once for a hundred that ask at the same time', async () => {
    const gate = new Gate();
    let runs = 0;
    const fetch = async () => {
      runs += 1;
      await gate.pass();
      return numbered(runs);
    };
    const login = new KeptCredentials({ id: '1', name: 'registry.test', log: pino({ level: 'silent' }), fetch });
    const asking = Array.from({ length: 100 }, () => login.credentials());
    await gate.reached;
    gate.open();
    expect(new Set(await Promise.all(asking)).size).toBe(1);
    expect(runs).toBe(1);
  });

  test.each([
    ['that do not say when they expire: 15 minutes', undefined, 14 * minutes, 16 * minutes],
    ['of an hour: less a tenth', 60 * minutes, 53 * minutes, 55 * minutes],
    ['of five minutes: less a minute', 5 * minutes, 3.9 * minutes, 4.1 * minutes],
    ['of a minute, or of a clock that is behind: ten seconds', 1 * minutes, 9, 11],
  ])('%s, and are then renewed behind', async (_, expiresInSeconds, kept, renewed) => {
    using clock = laterClock();
    const { password, runs } = scene((run) => numbered(run, expiresInSeconds));
    await password();
    clock.pass(kept);
    expect(await password()).toBe('p1');
    expect(runs()).toBe(1);
    clock.pass(renewed - kept);
    expect(await password()).toBe('p1');
    expect(await vi.waitUntil(async () => (await password()) === 'p2')).toBe(true);
    expect(runs()).toBe(2);
  });

  test('that have expired are used no more', async () => {
    using clock = laterClock();
    const { password } = scene((run) => numbered(run, 5 * minutes));
    await password();
    clock.pass(5 * minutes);
    expect(await password()).toBe('p2');
  });

  test('that had expired when they were printed are tried for a moment', async () => {
    using clock = laterClock();
    const { password, runs } = scene((run) => numbered(run, -60));
    expect([await password(), await password()]).toEqual(['p1', 'p1']);
    clock.pass(10);
    expect(await password()).toBe('p2');
    expect(runs()).toBe(2);
  });

  test('stay in use while the command fails, which is run once a minute', async () => {
    using clock = laterClock();
    const { password, runs, warnings } = scene((run) => (run === 1 ? numbered(run) : fails));
    await password();
    clock.pass(16 * minutes);
    for (const run of [2, 3]) {
      expect([await password(), await password()]).toEqual(['p1', 'p1']);
      await vi.waitUntil(() => warnings.length === run - 1);
      expect(runs()).toBe(run);
      clock.pass(61);
    }
    expect(warnings[0]).toContain('the command failed');
  });

  test('that expired while the command fails are a failure of the login', async () => {
    using clock = laterClock();
    const { password, login } = scene((run) => (run === 1 ? numbered(run, 5 * minutes) : fails));
    await password();
    clock.pass(6 * minutes);
    const error = await upstreamError(login.credentials());
    expect(error.failure).toBe('login');
    expect(error.message).toContain('upstream registry.test: its credentials could not be had: the command failed');
  });

  test('that are printed again as they were stay the same object', async () => {
    using clock = laterClock();
    const { login, runs } = scene(() => numbered(1));
    const first = await login.credentials();
    clock.pass(16 * minutes);
    await login.credentials();
    await vi.waitUntil(() => runs() === 2);
    await new Promise(setImmediate);
    expect(await login.credentials()).toBe(first);
  });

  test('that do not exist are asked for again after a while, with a word about it', async () => {
    using clock = laterClock();
    const { password, warnings } = scene((run) => (run === 1 ? undefined : numbered(run)));
    expect(await password()).toBeUndefined();
    expect(warnings[0]).toContain('it is asked anonymously');
    clock.pass(16 * minutes);
    await password();
    expect(await vi.waitUntil(async () => (await password()) === 'p2')).toBe(true);
  });
});

describe('credentials that were refused', () => {
  test('are fetched again', async () => {
    using clock = laterClock();
    const { login, password } = scene((run) => numbered(run));
    const first = await login.credentials();
    clock.pass(11);
    expect(first && login.refused(first)).toBe(true);
    expect(await password()).toBe('p2');
  });

  test('are fetched again once for all that were refused with them', async () => {
    using clock = laterClock();
    const { login, runs } = scene((run) => numbered(run));
    const first = await login.credentials();
    if (!first) throw new Error('no credentials');
    clock.pass(11);
    login.refused(first);
    await login.credentials();
    expect(login.refused(first)).toBe(true);
    await login.credentials();
    expect(runs()).toBe(2);
  });

  test('a moment after they were fetched are not worth another run', async () => {
    const { login, password, runs } = scene((run) => numbered(run));
    const first = await login.credentials();
    expect(first && login.refused(first)).toBe(false);
    expect(await password()).toBe('p1');
    expect(runs()).toBe(1);
  });
});
