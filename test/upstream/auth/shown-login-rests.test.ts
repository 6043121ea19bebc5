// How long a refused login rests, what is no reason for it, and what does not get out any more when it does.
import { describe, expect, test } from 'vitest';
import { ShownLogin } from '../../../src/upstream/auth/shown-login.ts';
import { fixedLogin, noCredentials } from '../../../src/upstream/credentials/login.ts';
import { UpstreamError } from '../../../src/upstream/upstream.ts';
import { Gate } from '../../support/gate.ts';
import { laterClock } from '../../support/later-clock.ts';
import { credentials, upstreamError } from '../upstream-scene.ts';
import { door, failures } from './login-door.ts';

describe('a login that goes on being refused', () => {
  test('rests longer each time, up to a quarter of an hour, and says once each time that it does', async () => {
    using clock = laterClock();
    const told: string[] = [];
    const shown = new ShownLogin(fixedLogin('1', credentials), (problem) => told.push(problem));
    const { ask, seen } = door(() => false);
    for (const [times, minutes] of [1, 2, 4, 8, 15, 15].entries()) {
      await upstreamError(shown.show(ask));
      expect(seen).toHaveLength(times + 1);
      for (let minute = 0; minute < minutes; minute++) {
        clock.pass(58);
        await upstreamError(shown.show(ask));
        expect(shown.isRefused).toBe(true);
        expect(shown.problem).toBe('login: it was refused');
        clock.pass(2);
        expect(shown.isRefused).toBe(false);
        if (minute + 1 === minutes) continue;
        expect(shown.retryInMs).toBeGreaterThan(50_000);
        expect((await upstreamError(shown.show(ask))).message).toBe('login: it was refused');
      }
      expect(seen).toHaveLength(times + 1);
    }
    expect(told).toHaveLength(6);
  });

  test('is tried after a minute when it has been changed, and from then on as any other', async () => {
    using clock = laterClock();
    let password = 'bad';
    const shown = new ShownLogin({
      ...fixedLogin('1', credentials),
      credentials: async () => ({ ...credentials, password }),
    });
    const { ask, seen } = door((given) => given === 'good');
    for (const seconds of [61, 61]) {
      await upstreamError(shown.show(ask));
      clock.pass(seconds);
    }
    await upstreamError(shown.show(ask));
    password = 'good';
    clock.pass(61);
    expect(await shown.show(ask)).toBe('good');
    expect(seen).toEqual(['bad', 'bad', 'good']);
    expect([shown.problem, shown.retryInMs]).toEqual([undefined, undefined]);
    password = 'bad';
    await upstreamError(shown.show(ask));
    expect(shown.retryInMs).toBeLessThanOrEqual(60_000);
  });
});

describe('credentials that are denied something', () => {
  const denied = async () => {
    throw new UpstreamError('denied', 'not for you');
  };
  const refused = async () => {
    throw noCredentials('registry.test', 'not for anybody');
  };
  const unclear = async () => {
    throw new UpstreamError('timeout', 'who knows');
  };

  test.each(['taken', 'new'])('and are good for anything else do not rest (%s)', async (state) => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    if (state === 'taken') await shown.show(async () => 'answer');
    const asking = Array.from({ length: 10 }, () => shown.show(denied, { check: async () => 'answer' }));
    expect(await failures(asking)).toEqual(new Set(['denied']));
    expect(shown.isRefused).toBe(false);
    expect(shown.takes(credentials)).toBe(true);
  });

  test.each(['taken', 'new'])('and everything else rest, after one check for all (%s)', async (state) => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    if (state === 'taken') await shown.show(async () => 'answer');
    let [asked, checked] = [0, 0];
    const ask = () => {
      asked += 1;
      return denied();
    };
    const check = () => {
      checked += 1;
      return refused();
    };
    expect(await failures(Array.from({ length: 100 }, () => shown.show(ask, { check })))).toEqual(new Set(['login']));
    expect([asked, checked]).toEqual([state === 'taken' ? 100 : 1, 1]);
    expect(shown.problem).toContain('not for anybody');
  });

  test.each([
    ['taken', 'timeout'],
    ['new', 'denied'],
  ] as const)('and cannot be checked do not rest (%s)', async (state, failure) => {
    const shown = new ShownLogin(fixedLogin('1', credentials));
    if (state === 'taken') await shown.show(async () => 'answer');
    expect((await upstreamError(shown.show(denied, { check: unclear }))).failure).toBe(failure);
    expect(shown.isRefused).toBe(false);
  });
});

test('credentials on trial in a long queue do not hold up those that wait for something else', async () => {
  const shown = new ShownLogin(fixedLogin('1', credentials));
  const gate = new Gate();
  const queued = shown.show(() => gate.pass(), { lane: 'transfers' });
  await gate.reached;
  expect(await shown.show(async () => 'answer', { lane: 'questions' })).toBe('answer');
  gate.open();
  await queued;
});

test('credentials that were refused while they waited are not sent', async () => {
  const shown = new ShownLogin(fixedLogin('1', credentials));
  await shown.show(async () => 'answer');
  const gate = new Gate();
  const sent: string[] = [];
  const waiting = shown.show(async (_, mayGo) => {
    await gate.pass();
    if (!mayGo()) throw noCredentials('registry.test', 'not sent');
    sent.push('password');
  });
  await gate.reached;
  await upstreamError(shown.show(door(() => false).ask));
  gate.open();
  expect((await upstreamError(waiting)).message).toBe('login: it was refused');
  expect(sent).toEqual([]);
});
