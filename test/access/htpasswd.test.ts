// Files of users: what is read, what is refused and in which words, and that a change touches one line only.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashPassword, isPasswordOf } from '../../src/access/bcrypt.ts';
import { parseHtpasswd, passwordFault, putUser, removeUser, userNameFault } from '../../src/access/htpasswd.ts';

// By htpasswd -nbB -C 5 bob pässword
const byApache = '$2y$05$LejQeGPyVi0AC0Hid6vU/.5puzi5pwNRC3nHrQnyuXt71qEWfVjEO';
const hashOf = (cost: string, version = '2y') => `$${version}$${cost}$${'a'.repeat(53)}`;
const hash = hashOf('10');

describe('a file', () => {
  test('gives users and hashes, whatever stands between them', () => {
    const text = `\uFEFF# who may pull\r\n\r\nbob:${hash}\r\n  \n#eve:${hash}\namy lee:${hashOf('12', '2b')}  \nzoë:${hashOf('04', '2a')}`;
    expect([...parseHtpasswd(text)]).toEqual([
      ['bob', hash],
      ['amy lee', hashOf('12', '2b')],
      ['zoë', hashOf('04', '2a')],
    ]);
  });

  test.each(['', '\n', '# nobody\n'])('%j has nobody in it', (text) => {
    expect(parseHtpasswd(text).size).toBe(0);
  });

  test.each([
    ['a:b\n', 'line 1: the hash of "a" is not bcrypt; use htpasswd -B or stillwater user add'],
    [
      '# x\n\nbob:$apr1$abcdefgh$0123456789012345678901',
      'line 3: the hash of "bob" is not bcrypt; use htpasswd -B or stillwater user add',
    ],
    [`bob:${hash}:comment`, 'line 1: the hash of "bob" is not bcrypt; use htpasswd -B or stillwater user add'],
    [`bob:${hashOf('10', '2x')}`, 'line 1: the hash of "bob" is not bcrypt; use htpasswd -B or stillwater user add'],
    [`bob: ${hash}`, 'line 1: the hash of "bob" is not bcrypt; use htpasswd -B or stillwater user add'],
    [
      `bob:${hashOf('15')}`,
      'line 1: the hash of "bob" has cost 15, allowed is 4 to 14; make a new one with stillwater user add',
    ],
    [
      `bob:${hashOf('03')}`,
      'line 1: the hash of "bob" has cost 3, allowed is 4 to 14; make a new one with stillwater user add',
    ],
    ['hunter2', 'line 1: it has no colon; write USER:HASH, or use stillwater user add'],
    [`:${hash}`, 'line 1: the user has no name'],
    [`anonymous:${hash}`, 'line 1: "anonymous" means somebody else in access.rules; choose another name'],
    [`*:${hash}`, 'line 1: "*" means somebody else in access.rules; choose another name'],
    [
      ` bob:${hash}`,
      'line 1: " bob" cannot be a user name; choose one of up to 255 characters, without colons or spaces around it',
    ],
    [
      `bo\tb:${hash}`,
      'line 1: "bo\\tb" cannot be a user name; choose one of up to 255 characters, without colons or spaces around it',
    ],
    [`bob:${hash}\namy:${hash}\nbob:${hash}`, 'line 3: the user "bob" is there twice; remove one of the lines'],
  ])('%j is refused', (text, message) => {
    expect(() => parseHtpasswd(text)).toThrow(new Error(message));
  });

  test('has users whose names mean something to JavaScript and to nobody else', () => {
    const users = parseHtpasswd(`__proto__:${hash}\nconstructor:${hash}`);
    expect([...users.keys()]).toEqual(['__proto__', 'constructor']);
    expect(users.get('toString')).toBeUndefined();
  });

  test('that is refused is quoted neither with a hash nor with what may be a password', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9$./]{12,40}$/);
    fc.assert(
      fc.property(secret, fc.constantFrom('', 'bob:', 'bob:$2y$10$', 'bob:$apr1$'), (secret, before) => {
        const fault = faultOf(() => parseHtpasswd(`${before}${secret}`));
        expect(fault).toMatch(/^line 1: /);
        expect(fault).not.toContain(secret);
      }),
    );
  });

  test('of any text at all is read, or refused with the number of a line that it has', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom('', '#', `bob:${hash}`, `amy:${hash}`, `:${hash}`, 'bob:'));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join('\n');
        const fault = faultOf(() => parseHtpasswd(text));
        if (fault === undefined) return;
        const number = Number(/^line (\d+): /.exec(fault)?.[1]);
        expect(number).toBeGreaterThan(0);
        expect(number).toBeLessThanOrEqual(text.split('\n').length);
      }),
    );
  });
});

describe('a change', () => {
  test('adds a user at the end, with or without a line break there', () => {
    expect(putUser('', 'bob', 'h')).toBe('bob:h\n');
    expect(putUser('# x\namy:g', 'bob', 'h')).toBe('# x\namy:g\nbob:h\n');
    expect(putUser('amy:g\n\n', 'bob', 'h')).toBe('amy:g\n\nbob:h\n');
  });

  test('replaces a user in place, and once where it was there twice', () => {
    expect(putUser('# x\nbob:f\nbobby:g\n\nbob:k\n', 'bob', 'h')).toBe('# x\nbob:h\nbobby:g\n\n');
  });

  test('finds a user behind a byte order mark', () => {
    expect(putUser('\uFEFFbob:f\namy:g\n', 'bob', 'h')).toBe('bob:h\namy:g\n');
  });

  test('mends a line that cannot be used, next to another that cannot', () => {
    expect(putUser('amy:md5\nbob:md5\n', 'bob', hash)).toBe(`amy:md5\nbob:${hash}\n`);
  });

  test('removes a user and nothing else', () => {
    expect(removeUser('# bob:x\nbob:f\nbobby:g\r\nbob:k\n', 'bob')).toBe('# bob:x\nbobby:g\r\n');
    expect(removeUser('bob:f\n', 'bob')).toBe('');
  });

  test('removes nobody who is not there', () => {
    expect(removeUser('# bob:f\nbobby:g\n', 'bob')).toBeUndefined();
    expect(removeUser('', 'bob')).toBeUndefined();
  });

  test('leaves all the other users as they were', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1 });
    fc.assert(
      fc.property(names, fc.stringMatching(/^[a-z]{1,3}$/), (names, name) => {
        const text = names.map((each) => `${each}:${hash}\n`).join('# between\n');
        const others = names.filter((each) => each !== name);
        const put = parseHtpasswd(putUser(text, name, hashOf('05')));
        expect(put.get(name)).toBe(hashOf('05'));
        expect([...put.keys()].filter((each) => each !== name)).toEqual(others);
        expect([...parseHtpasswd(removeUser(text, name) ?? text).keys()]).toEqual(others);
      }),
    );
  });
});

describe('a name', () => {
  test.each(['bob', 'amy lee', 'a@b.c', 'zoë', 'admin'])('may be %s', (name) => {
    expect(userNameFault(name)).toBeUndefined();
  });

  test.each(['', ' ', 'anonymous', 'ci-*', '#bob', 'a:b', 'bob ', 'a\nb', 'a\0', 'x'.repeat(256)])(
    'may not be %j',
    (name) => {
      expect(userNameFault(name)).toBeDefined();
    },
  );

  test('that may be is read back from the file', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        fc.pre(userNameFault(name) === undefined);
        expect([...parseHtpasswd(putUser('# x\n', name, hash))]).toEqual([[name, hash]]);
      }),
    );
  });
});

describe('a password', () => {
  test('may have 72 bytes and no more', () => {
    expect(passwordFault('a'.repeat(72))).toBeUndefined();
    expect(passwordFault('a'.repeat(73))).toBe(
      'the password is longer than 72 bytes, of which bcrypt sees no more; choose a shorter one',
    );
    expect(passwordFault('ä'.repeat(36))).toBeUndefined();
    expect(passwordFault('ä'.repeat(37))).toBeDefined();
  });

  test.each(['', 'a\0b', 'a\nb', 'a\r'])('may not be %j', (password) => {
    expect(passwordFault(password)).toBeDefined();
  });

  test('is the one that a hash was made of, here or by Apache', async () => {
    expect(await isPasswordOf(byApache, 'pässword')).toBe(true);
    expect(await isPasswordOf(byApache, 'password')).toBe(false);
    const own = await hashPassword('pässword');
    expect(own).toMatch(/^\$2y\$10\$/);
    expect(await isPasswordOf(own, 'pässword')).toBe(true);
    expect([...parseHtpasswd(`bob:${own}\namy:${byApache}`).keys()]).toEqual(['bob', 'amy']);
  });
});

function faultOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
