// Many wrong passwords: whom they lock out, what they cost, and that honest people still get in.
import { setImmediate } from 'node:timers/promises';
import { hash } from '@node-rs/bcrypt';
import { describe, expect, test } from 'vitest';
import { Lockout } from '../../src/access/lockout.ts';
import { Passwords } from '../../src/access/passwords.ts';
import { bob, scene, wrong } from './password-scene.ts';

describe('an address', () => {
  const lock = async ({ passwords }: ReturnType<typeof scene>, address = bob.address) => {
    for (let count = 0; count < 10; count++) await passwords.verify(wrong(`${count}`, address));
  };

  test('is locked by ten wrong passwords, and not by ten times the same', async () => {
    const one = scene();
    await lock(one);
    expect(one.lockout.isLocked(bob.address)).toBe(true);
    const other = scene();
    for (let count = 0; count < 10; count++) await other.passwords.verify(wrong());
    expect(other.lockout.isLocked(bob.address)).toBe(false);
  });

  test('is not locked by passwords that are right', async () => {
    const { passwords, lockout } = scene();
    for (let count = 0; count < 20; count++) await passwords.verify(bob);
    expect(lockout.isLocked(bob.address)).toBe(false);
  });

  test('that is locked has nothing hashed, even if it is right', async () => {
    const locked = scene();
    await lock(locked);
    locked.compared.length = 0;
    expect(await locked.passwords.judge(bob)).toBe('locked');
    expect(await locked.passwords.judge(wrong())).toBe('locked');
    expect(locked.compared).toEqual([]);
  });

  test('that is locked is still listened to with what is known to be right', async () => {
    const locked = scene();
    await locked.passwords.verify(bob);
    await lock(locked);
    expect(await locked.passwords.judge(bob)).toBe('right');
  });

  test('that is locked keeps nobody out elsewhere, and is free after a minute', async () => {
    const locked = scene();
    await lock(locked);
    expect(await locked.passwords.judge({ ...bob, address: '192.0.2.2' })).toBe('right');
    locked.clock.ms += 60_000;
    expect(await locked.passwords.judge(bob)).toBe('right');
  });

  test('cannot have more hashed than ten by asking for all of it at once', async () => {
    const { passwords, compared, lockout } = scene();
    for (let round = 0; round < 10; round++) {
      const attempts = Array.from({ length: 8 }, (_, count) => passwords.judge(wrong(`${round} ${count}`)));
      await Promise.all(attempts);
    }
    expect(compared).toHaveLength(10);
    expect(lockout.isLocked(bob.address)).toBe(true);
  });

  test('learns nothing more when another tries the same at the same time', async () => {
    const { passwords, compared, lockout } = scene();
    for (let count = 0; count < 10; count++) {
      const verdicts = ['192.0.2.1', '192.0.2.2'].map((address) => passwords.judge(wrong(`${count}`, address)));
      expect(await Promise.all(verdicts)).toEqual(['wrong', 'wrong']);
    }
    expect(compared).toHaveLength(10);
    expect(['192.0.2.1', '192.0.2.2'].some((address) => lockout.isLocked(address))).toBe(true);
  });

  test('that asks many times at once for the same costs one hash and one failure', async () => {
    const { passwords, compared, lockout } = scene();
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => passwords.judge(wrong())));
    expect(new Set(verdicts)).toEqual(new Set(['wrong']));
    expect(await Promise.all(Array.from({ length: 50 }, () => passwords.judge(bob)))).toEqual(Array(50).fill('right'));
    expect(compared).toHaveLength(2);
    expect(lockout.isLocked(bob.address)).toBe(false);
  });
});

describe('under an attack', () => {
  const attackers = (count: number) =>
    Array.from({ length: count }, (_, at) => wrong(`${at}`, `10.0.${at >> 8}.${at & 255}`));

  test.each([
    [1, 1],
    [2, 2],
  ] as const)('at most %i are hashed at once', async (hashes, most) => {
    const { passwords, running, shut, open } = scene({ hashes });
    shut();
    const attempts = attackers(20).map((attempt) => passwords.judge(attempt));
    await setImmediate();
    open();
    await Promise.all(attempts);
    expect(running.most).toBe(most);
  });

  test('at most 32 wait, and the rest have their answer while the first is hashed', async () => {
    const { passwords, compared, shut, open } = scene();
    shut();
    const verdicts: string[] = [];
    const attempts = attackers(200).map(async (attempt) => verdicts.push(await passwords.judge(attempt)));
    await setImmediate();
    expect(verdicts).toEqual(Array(167).fill('busy'));
    open();
    await Promise.all(attempts);
    expect(compared).toHaveLength(33);
  });

  test('nobody waits for more than five seconds and the hash that is then under way', async () => {
    const { passwords, compared, clock, shut, open } = scene();
    shut();
    const first = passwords.judge(bob);
    const late = passwords.judge({ ...bob, address: '192.0.2.2', password: 'other' });
    clock.ms = 5001;
    const fresh = passwords.judge({ ...bob, address: '192.0.2.3', password: 'another' });
    open();
    expect(await Promise.all([first, late, fresh])).toEqual(['right', 'busy', 'wrong']);
    expect(compared).toHaveLength(2);
  });

  test('that is as much as can wait, nobody is locked for having been turned away', async () => {
    const { passwords, lockout, shut } = scene({ waiting: 0 });
    shut();
    void passwords.judge(wrong('x', '10.0.0.1'));
    for (let count = 0; count < 20; count++) expect(await passwords.judge(bob)).toBe('busy');
    expect(lockout.isLocked(bob.address)).toBe(false);
  });

  test('of one address the others have most of the places', async () => {
    const { passwords, shut, open } = scene();
    shut();
    const attempts = Array.from({ length: 50 }, (_, at) => passwords.judge(wrong(`${at}`, '10.0.0.1')));
    const honest = passwords.judge(bob);
    await setImmediate();
    open();
    expect((await Promise.all(attempts)).filter((verdict) => verdict === 'busy')).toHaveLength(42);
    expect(await honest).toBe('right');
  });

  test('who is remembered does not wait', async () => {
    const { passwords, shut } = scene();
    await passwords.verify(bob);
    shut();
    for (const attempt of attackers(200)) void passwords.judge(attempt);
    await setImmediate();
    expect(await passwords.judge(bob)).toBe('right');
  });

  test('who is remembered no more goes first, if he comes from where he came from before', async () => {
    const { passwords, compared, clock, shut, open } = scene();
    await passwords.verify(bob);
    clock.ms += 60_000;
    compared.length = 0;
    shut();
    for (const attempt of attackers(200)) void passwords.judge(attempt);
    const honest = passwords.judge(bob);
    await setImmediate();
    open();
    expect(await honest).toBe('right');
    expect(compared.indexOf('=right right')).toBe(1);
  });

  test('a true one, two hundred wrong passwords are answered in the time of 33 hashes, one after the other', async () => {
    const lockout = new Lockout();
    const passwords = new Passwords({ lockout });
    passwords.use(new Map([['bob', await hash('right', 4)]]));
    const verdicts = await Promise.all(attackers(200).map((attempt) => passwords.judge(attempt)));
    expect(verdicts.filter((verdict) => verdict === 'busy')).toHaveLength(167);
    expect(verdicts.filter((verdict) => verdict === 'wrong')).toHaveLength(33);
  });
});
