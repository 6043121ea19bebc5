// How often a registry sees a password before we know that it takes it, and after we know that it does not.
import { describe, expect, test } from 'vitest';
import { ShownLogin } from '../../../src/upstream/auth/shown-login.ts';
import type { Credentials } from '../../../src/upstream/credentials/credentials.ts';
import { anonymous, fixedLogin, type Login, noCredentials } from '../../../src/upstream/credentials/login.ts';
import { UpstreamError } from '../../../src/upstream/upstream.ts';
import { Gate } from '../../support/gate.ts';
import { laterClock } from '../../support/later-clock.ts';
import { credentials, upstreamError } from '../upstream-scene.ts';
import { door, failures } from './login-door.ts';

/** Gives the first password until it is refused, then the next. */
function rotating(...passwords: readonly string[]): Login {
  const all: Credentials[] = passwords.map((password) => ({ username: 'robot', password }));
  let at = 0;
  return {
    id: '1',
    credentials: async () => all[at],
    refused: (refused) => {
      if (refused === all[at] && at < all.length - 1) at += 1;
      return true;
    },
  };
}

describe('credentials nobody has seen yet', () => {
  test('go ahead once, and the others follow together', async () => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    const gates = [new Gate(), new Gate()] as const;
    let asked = 0;
    const ask = async () => {
      asked += 1;
      await gates[asked === 1 ? 0 : 1].pass();
    };
    const asking = Array.from({ length: 100 }, () => shown.show(ask));
    await gates[0].reached;
    await new Promise(setImmediate);
    expect(asked).toBe(1);
    gates[0].open();
    await gates[1].reached;
    await new Promise(setImmediate);
    expect(gates[1].arrivals).toBe(99);
    gates[1].open();
    await Promise.all(asking);
  });

  test('are shown once when they are bad, whoever asks', async () => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    const { ask, seen } = door(() => false);
    expect(await failures(Array.from({ length: 100 }, () => shown.show(ask)))).toEqual(new Set(['login']));
    expect(seen).toHaveLength(1);
    expect(shown.isRefused).toBe(true);
  });

  test('are tried by the next when the first had no answer', async () => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    let asked = 0;
    const ask = async () => {
      asked += 1;
      if (asked === 1) throw new UpstreamError('timeout', 'it hung');
      return 'answer';
    };
    const [first, second] = [shown.show(ask), shown.show(ask)];
    expect((await upstreamError(first)).failure).toBe('timeout');
    expect(await second).toBe('answer');
    expect(shown.isRefused).toBe(false);
  });
});

describe('a refused login', () => {
  test('rests for a minute, says why and until when, and is then tried once', async () => {
    using clock = laterClock();
    const shown = new ShownLogin(fixedLogin('1', credentials));
    const { ask, seen } = door(() => false);
    await upstreamError(shown.show(ask));
    clock.pass(20);
    const error = await upstreamError(shown.show(ask));
    expect(error).toMatchObject({ failure: 'login', message: 'login: it was refused' });
    expect(error.retryAfterMs).toBeGreaterThan(38_000);
    expect(error.retryAfterMs).toBeLessThanOrEqual(40_000);
    expect((await upstreamError(shown.credentials())).failure).toBe('login');
    expect(seen).toHaveLength(1);
    clock.pass(41);
    expect(shown.isRefused).toBe(false);
    await failures(Array.from({ length: 10 }, () => shown.show(ask)));
    expect(seen).toHaveLength(2);
  });

  test('rests as well when its credentials cannot be had', async () => {
    let runs = 0;
    const broken: Login = {
      ...anonymous,
      credentials: async () => {
        runs += 1;
        throw noCredentials('registry.test', 'the command failed');
      },
    };
    const shown = new ShownLogin(broken);
    const { ask } = door(() => true);
    await upstreamError(shown.show(ask));
    expect((await upstreamError(shown.show(ask))).message).toContain('the command failed');
    expect(runs).toBe(1);
    expect(shown.isRefused).toBe(true);
  });

  test.each(['login', 'denied'] as const)('that has others is tried once more (%s)', async (refusal) => {
    const shown = new ShownLogin(rotating('old', 'new', 'newer'));
    const { ask, seen } = door((password) => password === 'new', refusal);
    expect(await shown.show(ask, { check: async (old) => ask(old, () => true) })).toBe('new');
    expect(seen).toEqual(['old', 'new']);
    expect(shown.isRefused).toBe(false);
  });

  test('is tried no third time', async () => {
    const shown = new ShownLogin(rotating('old', 'new', 'newer'));
    const { ask, seen } = door((password) => password === 'newer');
    expect((await upstreamError(shown.show(ask))).failure).toBe('login');
    expect(seen).toEqual(['old', 'new']);
  });

  test('that brings the same again is not shown again', async () => {
    const shown = new ShownLogin(rotating('old', 'old'));
    const { ask, seen } = door(() => false);
    expect((await upstreamError(shown.show(ask))).failure).toBe('login');
    expect(seen).toEqual(['old']);
    expect(shown.isRefused).toBe(true);
  });

  test('is renewed once for a hundred whose known password was refused at once', async () => {
    const shown = new ShownLogin(rotating('old', 'new'));
    let good = 'old';
    const { ask, seen } = door((password) => password === good);
    await shown.show(ask);
    good = 'new';
    const answers = await Promise.all(Array.from({ length: 100 }, () => shown.show(ask)));
    expect(new Set(answers)).toEqual(new Set(['new']));
    expect(seen.filter((password) => password === 'new')).toHaveLength(100);
  });
});

test('a denial, without others to try, is the answer it is: the login does not rest', async () => {
  const shown = new ShownLogin(fixedLogin('1', credentials));
  const { ask, seen } = door(() => false, 'denied');
  expect((await upstreamError(shown.show(ask))).failure).toBe('denied');
  expect(shown.isRefused).toBe(false);
  expect((await upstreamError(shown.show(ask))).failure).toBe('denied');
  expect(seen).toHaveLength(2);
});

test('a login without credentials asks with none', async () => {
  const { ask, seen } = door(() => true);
  await new ShownLogin(anonymous).show(ask);
  expect(seen).toEqual(['nothing']);
});
