// What an Authorization header is taken for, and that nothing odd in it is taken for credentials.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAuthorization } from '../../src/access/authorization.ts';

const basic = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('user and password', () => {
  test.each([
    ['as clients send them', basic('bob:secret'), { user: 'bob', password: 'secret' }],
    ['with colons in the password', basic('bob:a:b:'), { user: 'bob', password: 'a:b:' }],
    ['in UTF-8', basic('jürgen:pässwörd'), { user: 'jürgen', password: 'pässwörd' }],
    ['without a user', basic(':secret'), { user: '', password: 'secret' }],
    ['without a password', basic('bob:'), { user: 'bob', password: '' }],
    ['with spaces that belong to them', basic(' bob : secret '), { user: ' bob ', password: ' secret ' }],
    ['with a byte order mark that belongs to them', basic('\uFEFFbob:x'), { user: '\uFEFFbob', password: 'x' }],
    ['without padding', 'Basic Ym9iOng', { user: 'bob', password: 'x' }],
    ['under a scheme in any case', 'bASIC Ym9iOng=', { user: 'bob', password: 'x' }],
    ['after several spaces', 'Basic   Ym9iOng=  ', { user: 'bob', password: 'x' }],
  ])('%s', (_what, header, credentials) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'basic', ...credentials });
  });
});

test.each(['abc', 'swt_a-b_c', 'a.b.c', 'a+b/c~d=='])('the token %s', (token) => {
  expect(parseAuthorization(`Bearer ${token}`)).toEqual({ scheme: 'bearer', token });
  expect(parseAuthorization(`bearer  ${token} `)).toEqual({ scheme: 'bearer', token });
});

describe('nothing', () => {
  test.each([
    ['no header', undefined],
    ['an empty one', ''],
    ['a scheme alone', 'Basic'],
    ['a scheme and a space', 'Bearer '],
    ['another scheme', 'Digest YTpi'],
    ['credentials without a scheme', 'Ym9iOng='],
    ['a colon alone, of clients without a login', basic(':')],
    ['no colon', basic('bob')],
    ['no base64', 'Basic bob:secret'],
    ['base64 for URLs', 'Basic Ym9iOj8_Pw'],
    ['a padding in the middle', 'Basic Ym9i=Ong='],
    ['bytes that are no UTF-8', basic(new Uint8Array([0x62, 0x3a, 0xff, 0xfe]))],
    ['a NUL in the password', basic('bob:a\0b')],
    ['a line break in the user', basic('bob\n:a')],
    ['a DEL in the password', basic('bob:\x7f')],
    ['two tokens', 'Bearer a b'],
    ['two headers put together', 'Bearer a, Basic Ym9iOng='],
    ['a token with a quote', 'Bearer "a"'],
    ['a tab after the scheme', 'Bearer\ta'],
  ])('for %s', (_what, header) => {
    expect(parseAuthorization(header)).toBeUndefined();
  });
});

test('gives back every user and password that Basic can carry', () => {
  const text = fc.string({ unit: 'binary' }).filter((each) => !/\p{Cc}|\p{Cs}/u.test(each));
  const user = text.filter((each) => !each.includes(':'));
  fc.assert(
    fc.property(user, text, (user, password) => {
      fc.pre(user !== '' || password !== '');
      // The C1 controls are none in https://www.rfc-editor.org/rfc/rfc7617.
      expect(parseAuthorization(basic(`${user}:${password}`))).toEqual({ scheme: 'basic', user, password });
    }),
  );
});

test('never throws, whatever the header, and never finds control characters', () => {
  const credentials = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
  );
  const scheme = fc.constantFrom('Basic ', 'Bearer ', 'basic  ', '', 'Negotiate ');
  fc.assert(
    fc.property(scheme, credentials, (scheme, credentials) => {
      const found = parseAuthorization(scheme + credentials);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(Object.values(found ?? {}).join('')).not.toMatch(/[\u0000-\u001f\u007f]/);
    }),
    { numRuns: 1000 },
  );
});

test('reads the longest header in no time', () => {
  const started = performance.now();
  for (const filler of [' ', '=', 'a', 'a ', '= ']) parseAuthorization(`Basic ${filler.repeat(32_768)}!`);
  expect(performance.now() - started).toBeLessThan(1000);
});
