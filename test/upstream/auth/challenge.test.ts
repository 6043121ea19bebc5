// The WWW-Authenticate header as registries write it, and as nobody should.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from '../../../src/upstream/auth/challenge.ts';

const bearer = (parameters: Record<string, string>) => ({ scheme: 'bearer', parameters });

describe('a challenge', () => {
  test('of Docker Hub names its realm, service and scope', () => {
    expect(
      parseChallenges(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"',
      ),
    ).toEqual([
      bearer({
        realm: 'https://auth.docker.io/token',
        service: 'registry.docker.io',
        scope: 'repository:library/x:pull',
      }),
    ]);
  });

  test.each([
    ['BEARER Realm="r"', [bearer({ realm: 'r' })]],
    ['Bearer realm = "r" , service = "s"', [bearer({ realm: 'r', service: 's' })]],
    ['Bearer realm=r,service=registry.example', [bearer({ realm: 'r', service: 'registry.example' })]],
    ['Bearer realm=https://auth.example/token', [bearer({ realm: 'https://auth.example/token' })]],
    ['Bearer scope="repository:a:pull,push"', [bearer({ scope: 'repository:a:pull,push' })]],
    ['Bearer realm=""', [bearer({ realm: '' })]],
    ['Bearer', [bearer({})]],
    ['', []],
    ['   ', []],
  ])('is read from %j', (header, challenges) => {
    expect(parseChallenges(header)).toEqual(challenges);
  });

  test('may quote quotes and backslashes', () => {
    expect(parseChallenges('Basic realm="a \\"b\\" c:\\\\d", charset="UTF-8"')).toEqual([
      { scheme: 'basic', parameters: { realm: 'a "b" c:\\d', charset: 'UTF-8' } },
    ]);
  });

  test('may be one of several, each with its own parameters', () => {
    const expected = [
      { scheme: 'basic', parameters: { realm: 'one' } },
      bearer({ realm: 'two', service: 's' }),
      { scheme: 'negotiate', parameters: {} },
    ];
    expect(parseChallenges('Basic realm="one", Bearer realm="two",service="s", Negotiate')).toEqual(expected);
    expect(parseChallenges('Basic realm="one",Bearer realm="two", service=s,, Negotiate')).toEqual(expected);
  });

  test('hides no other in a quoted text', () => {
    expect(parseChallenges('Basic realm="x, Bearer realm=\\"evil\\""')).toEqual([
      { scheme: 'basic', parameters: { realm: 'x, Bearer realm="evil"' } },
    ]);
  });

  test('is read back as it was written', () => {
    const names = fc.subarray(['realm', 'service', 'scope', 'x-y', 'constructor'], { minLength: 1 });
    const values = fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 8 }), { minLength: 5, maxLength: 5 });
    const parameters = fc
      .tuple(names, values)
      .map(([known, texts]) => Object.fromEntries(known.map((name, index) => [name, texts[index] ?? ''])));
    const scheme = fc.constantFrom('bearer', 'basic', 'negotiate');
    fc.assert(
      fc.property(fc.array(fc.record({ scheme, parameters }), { maxLength: 4 }), (challenges) => {
        const header = challenges.map(({ scheme: name, parameters: entries }) => {
          const written = Object.entries(entries).map(
            ([key, value]) => `${key}="${value.replaceAll(/["\\]/g, '\\$&')}"`,
          );
          return `${name} ${written.join(',')}`;
        });
        expect(parseChallenges(header.join(', '))).toEqual(challenges);
      }),
    );
  });
});

describe('a header that is no challenge', () => {
  test.each(['realm="r"', '="x"', '"', ',,,', '@@@', 'Bearer realm="open', 'Bearer realm=', '\\'])(
    'gives no realm and no error: %j',
    (header) => {
      expect(parseChallenges(header).some(({ parameters }) => parameters.realm)).toBe(false);
    },
  );

  test('never throws, whatever it holds', () => {
    const pieces = fc.array(fc.constantFrom('Bearer', 'realm', '=', '"', ',', ' ', '\\', 'x', '__proto__', '\t', 'é'));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((parts) => parts.join('')),
        ),
        (header) => {
          for (const { scheme, parameters } of parseChallenges(header)) {
            expect(scheme).toBe(scheme.toLowerCase());
            expect(Object.values(parameters).every((value) => typeof value === 'string')).toBe(true);
          }
        },
      ),
    );
  });

  // A header of 32 KiB, the largest that reaches the parser, must not hold up everybody else.
  test.each([
    ['spaces', 'Bearer', ' ', '"'],
    ['commas', 'Bearer ', ',', '"'],
    ['spaces and commas', 'Bearer ', ' ,', '"'],
    ['spaces before a value', 'Bearer realm=', ' ', ','],
    ['spaces after a name', 'Bearer realm', ' ', '"'],
    ['backslashes', 'Bearer realm="', '\\', ''],
    ['an open quote', 'Bearer realm="', 'a', ''],
    ['one long word', '', 'a', '"'],
    ['many words', '', 'a ', '"'],
    ['many names', 'Bearer ', 'a=', '"'],
    ['many open quotes', 'Bearer ', 'a="\\"', ''],
  ])('takes no time: %s', (_, head, unit, tail) => {
    const header = head + unit.repeat((32 * 1024) / unit.length) + tail;
    const startedAt = performance.now();
    parseChallenges(header);
    expect(performance.now() - startedAt).toBeLessThan(100);
  });
});
