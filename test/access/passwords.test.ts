// Passwords: what is right, and what is remembered and for how long.
import { setImmediate } from 'node:timers/promises';
import { hash } from '@node-rs/bcrypt';
import { beforeAll, describe, expect, test } from 'vitest';
import { Lockout } from '../../src/access/lockout.ts';
import { Passwords } from '../../src/access/passwords.ts';
import { bob, scene, wrong } from './password-scene.ts';

describe('a password', () => {
  let hashes: ReadonlyMap<string, string>;
  beforeAll(async () => {
    hashes = new Map([['bob', await hash('right', 4)]]);
  });

  test.each([
    ['of the user', 'bob', 'right', true],
    ['of nobody', 'bob', 'wrong', false],
    ['of another user', 'amy', 'right', false],
    ['that only begins like it', 'bob', 'righ', false],
    ['that is empty', 'bob', '', false],
  ])('%s', async (_what, user, password, isRight) => {
    const passwords = new Passwords({ lockout: new Lockout() });
    passwords.use(hashes);
    expect(await passwords.verify({ user, password, address: bob.address })).toBe(isRight);
    expect(await passwords.verify({ user, password, address: bob.address })).toBe(isRight);
  });

  test('is hashed while the event loop goes on', async () => {
    const passwords = new Passwords({ lockout: new Lockout() });
    passwords.use(new Map([['bob', await hash('right', 10)]]));
    let isAnswered = false;
    const answer = passwords.verify(bob).finally(() => {
      isAnswered = true;
    });
    let turnsBefore = 0;
    while (!isAnswered) {
      await setImmediate();
      turnsBefore++;
    }
    expect(await answer).toBe(true);
    expect(turnsBefore).toBeGreaterThan(100);
  });

  test('of more than 72 bytes is wrong, although bcrypt would not see the rest', async () => {
    const passwords = new Passwords({ lockout: new Lockout() });
    passwords.use(new Map([['bob', await hash('a'.repeat(72), 4)]]));
    expect(await passwords.verify(wrong('a'.repeat(72)))).toBe(true);
    expect(await passwords.verify(wrong('a'.repeat(73)))).toBe(false);
  });

  test.each([
    ['with a NUL', 'right\0'],
    ['of 73 bytes', `${'ä'.repeat(36)}a`],
  ])('%s is wrong without being hashed, and locks nobody out', async (_what, password) => {
    const { passwords, compared, lockout } = scene();
    for (let count = 0; count < 10; count++) expect(await passwords.verify(wrong(password))).toBe(false);
    expect(compared).toEqual([]);
    expect(lockout.isLocked(bob.address)).toBe(false);
  });

  test('that is wrong again and again, as of a client that knows no other, counts once', async () => {
    const { passwords, compared, lockout } = scene();
    for (let count = 0; count < 20; count++)
      expect(await passwords.verify(wrong('the one of another registry'))).toBe(false);
    expect(compared).toHaveLength(1);
    expect(lockout.isLocked(bob.address)).toBe(false);
  });

  test('is wrong, and nothing is counted, where there are no users', async () => {
    const { passwords, lockout } = scene();
    passwords.use(new Map());
    for (let count = 0; count < 20; count++) expect(await passwords.judge(bob)).toBe('wrong');
    expect(lockout.isLocked(bob.address)).toBe(false);
  });

  test('whose check failed is neither right nor wrong, and is checked again', async () => {
    let isBroken = true;
    const compare = async () => {
      if (isBroken) throw new Error('no bcrypt');
      return true;
    };
    const { passwords } = scene({ compare });
    await expect(passwords.verify(bob)).rejects.toThrow('no bcrypt');
    isBroken = false;
    expect(await passwords.verify(bob)).toBe(true);
  });
});

describe('somebody who is no user', () => {
  test('costs one hash, of a user’s cost, and always the same', async () => {
    const { passwords, compared, clock } = scene();
    passwords.use(new Map([...'abcdefgh'].map((name) => [name, `=${name}`])));
    for (let count = 0; count < 5; count++) {
      expect(await passwords.verify({ ...bob, user: 'amy' })).toBe(false);
      clock.ms += 60_000;
    }
    expect(compared).toHaveLength(5);
    expect(new Set(compared).size).toBe(1);
    expect(compared[0]).toMatch(/^=[a-h] right$/);
    for (let count = 0; count < 100; count++) {
      await passwords.verify({ user: `nobody${count}`, password: 'right', address: `10.0.0.${count}` });
    }
    expect(new Set(compared).size).toBeGreaterThan(1);
  });

  test('is nobody even with the password of the one whose hash was taken', async () => {
    const { passwords, compared } = scene();
    expect(await passwords.judge({ ...bob, user: 'amy' })).toBe('wrong');
    expect(await passwords.judge({ ...bob, user: 'amy' })).toBe('wrong');
    expect(compared).toEqual(['=right right']);
  });
});

describe('what was found out', () => {
  test.each([
    ['right', bob],
    ['wrong', wrong()],
  ])('to be %s is remembered for a minute', async (verdict, attempt) => {
    const { passwords, compared, clock } = scene();
    expect(await passwords.judge(attempt)).toBe(verdict);
    clock.ms += 59_999;
    expect(await passwords.judge(attempt)).toBe(verdict);
    expect(compared).toHaveLength(1);
    clock.ms += 60_000;
    expect(await passwords.judge(attempt)).toBe(verdict);
    expect(compared).toHaveLength(2);
  });

  test('to be right is remembered as long as it is used', async () => {
    const { passwords, compared, clock } = scene();
    for (let count = 0; count < 10; count++) {
      expect(await passwords.verify(bob)).toBe(true);
      clock.ms += 40_000;
    }
    expect(compared).toHaveLength(1);
  });

  test('is told apart by user and password, wherever one ends', async () => {
    const { passwords, compared } = scene();
    passwords.use(new Map([['a', '=b:c']]));
    expect(await passwords.verify({ ...bob, user: 'a', password: 'b:c' })).toBe(true);
    expect(await passwords.verify({ ...bob, user: 'a:b', password: 'c' })).toBe(false);
    expect(compared).toHaveLength(2);
  });

  test('is told apart so while it is being found out', async () => {
    const { passwords, shut, open } = scene();
    passwords.use(new Map([['a', '=b:c']]));
    shut();
    const verdicts = Promise.all([
      passwords.judge({ ...bob, user: 'a', password: 'b:c' }),
      passwords.judge({ ...bob, user: 'a:b', password: 'c' }),
    ]);
    open();
    expect(await verdicts).toEqual(['right', 'wrong']);
  });

  test('is forgotten of a user with another hash, and kept of the others', async () => {
    const { passwords, compared } = scene();
    const amy = { user: 'amy', password: 'hers', address: bob.address };
    passwords.use(
      new Map([
        ['bob', '=right'],
        ['amy', '=hers'],
      ]),
    );
    await passwords.verify(bob);
    await passwords.verify(amy);
    await passwords.verify(wrong('new'));
    passwords.use(
      new Map([
        ['bob', '=new'],
        ['amy', '=hers'],
      ]),
    );
    expect(await passwords.judge(bob)).toBe('wrong');
    expect(await passwords.judge(wrong('new'))).toBe('right');
    expect(await passwords.judge(amy)).toBe('right');
    expect(compared).toHaveLength(5);
  });

  test('is forgotten of a user who is gone', async () => {
    const { passwords } = scene();
    await passwords.verify(bob);
    passwords.use(new Map([['amy', '=hers']]));
    expect(await passwords.judge(bob)).toBe('wrong');
    expect(passwords.hashOf('bob')).toBeUndefined();
  });

  test('counts for nothing when the user was removed meanwhile', async () => {
    const { passwords, shut, open } = scene();
    shut();
    const answer = passwords.judge(bob);
    await setImmediate();
    passwords.use(new Map([['amy', '=hers']]));
    open();
    expect(await answer).toBe('wrong');
  });

  test('to be right is not pushed out by any number that are wrong', async () => {
    const { passwords, compared } = scene();
    await passwords.verify(bob);
    for (let count = 0; count < 10_001; count++)
      await passwords.verify(wrong(`${count}`, `10.0.${count >> 8}.${count & 255}`));
    compared.length = 0;
    expect(await passwords.verify(bob)).toBe(true);
    expect(compared).toEqual([]);
  });
});
