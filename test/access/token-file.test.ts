// The file of tokens: read back as it was written, and refused where it could mean something else than it says.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTokenFile, parseTokenFile, type TokenRecord, tokenNameFault } from '../../src/access/token-file.ts';

const sha256 = 'a'.repeat(64);
const ci = { name: 'ci', sha256, createdAt: '2026-01-31T12:00:00Z' };
const file = (...tokens: unknown[]) => JSON.stringify({ tokens });

test('gives the tokens', () => {
  const scoped = {
    ...ci,
    name: 'b',
    sha256: 'b'.repeat(64),
    scopes: ['docker.io/acme/**'],
    expiresAt: '2026-02-01T00:00:00.5+02:00',
  };
  expect(parseTokenFile(`\uFEFF${file(ci, scoped)}`)).toEqual([ci, scoped]);
  expect(parseTokenFile(file())).toEqual([]);
});

test('reads back every token that can be written', () => {
  const date = fc
    .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((each) => each.toISOString());
  const record: fc.Arbitrary<TokenRecord> = fc.record(
    {
      name: fc.string({ unit: 'grapheme' }).filter((name) => tokenNameFault(name) === undefined),
      sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
      createdAt: date,
      scopes: fc.array(fc.stringMatching(/^[a-z.*/]+$/), { minLength: 1 }),
      expiresAt: date,
    },
    { requiredKeys: ['name', 'sha256', 'createdAt'] },
  );
  const tokens = fc.uniqueArray(record, {
    comparator: (one, other) => one.name === other.name || one.sha256 === other.sha256,
  });
  fc.assert(
    fc.property(tokens, (tokens) => {
      expect(parseTokenFile(formatTokenFile(tokens))).toEqual(tokens);
    }),
  );
});

describe('refuses', () => {
  const time = 'is not a time such as "2026-01-31T12:00:00Z"';
  test.each([
    ['', 'it is not JSON; mend it, or make a new file'],
    ['{\n  "tokens": [,]\n}', 'it is not JSON; mend it, or make a new file'],
    ['[]', 'it is not of the form {"tokens": […]}'],
    ['null', 'it is not of the form {"tokens": […]}'],
    ['{"tokens": {}}', 'it is not of the form {"tokens": […]}'],
    ['{"tokens": [], "more": 1}', 'the file: unknown key "more"; the keys are tokens'],
    [file('swt_x'), 'tokens[0]: it is not an object'],
    [
      file({ ...ci, scope: ['a'] }),
      'tokens[0]: unknown key "scope"; the keys are name, sha256, scopes, createdAt, expiresAt',
    ],
    [file({ ...ci, name: undefined }), 'tokens[0]: it has no name'],
    [
      file({ ...ci, name: 'anonymous' }),
      'tokens[0]: "anonymous" means somebody else in access.rules; choose another name',
    ],
    [file({ ...ci, name: '' }), 'tokens[0]: "" means somebody else in access.rules; choose another name'],
    [
      file({ ...ci, name: 'a\nb' }),
      'tokens[0]: "a\\nb" cannot be a name; choose one of up to 255 characters, without spaces around it',
    ],
    [
      file(ci, { ...ci, name: 'x', sha256: 'A'.repeat(64) }),
      'tokens[1]: its sha256 is not 64 hexadecimal digits; make a new token with stillwater token create',
    ],
    [
      file({ ...ci, sha256: undefined }),
      'tokens[0]: its sha256 is not 64 hexadecimal digits; make a new token with stillwater token create',
    ],
    [file({ ...ci, scopes: [] }), 'tokens[0]: its scopes are not a list of globs; leave them out for every repository'],
    [
      file({ ...ci, scopes: 'a/**' }),
      'tokens[0]: its scopes are not a list of globs; leave them out for every repository',
    ],
    [
      file({ ...ci, scopes: null }),
      'tokens[0]: its scopes are not a list of globs; leave them out for every repository',
    ],
    [
      file({ ...ci, scopes: ['a', ''] }),
      'tokens[0]: its scopes are not a list of globs; leave them out for every repository',
    ],
    [
      file({ ...ci, scopes: ['a\u001b[2J'] }),
      'tokens[0]: its scopes are not a list of globs; leave them out for every repository',
    ],
    [file({ ...ci, createdAt: undefined }), `tokens[0]: its createdAt ${time}`],
    [file({ ...ci, expiresAt: '2026-02-01' }), `tokens[0]: its expiresAt ${time}`],
    [file({ ...ci, expiresAt: '2026-02-01T00:00:00' }), `tokens[0]: its expiresAt ${time}`],
    [file({ ...ci, expiresAt: '2026-13-01T00:00:00Z' }), `tokens[0]: its expiresAt ${time}`],
    [file({ ...ci, expiresAt: 1_800_000_000_000 }), `tokens[0]: its expiresAt ${time}`],
    [file({ ...ci, expiresAt: null }), `tokens[0]: its expiresAt ${time}`],
    [
      file(ci, { ...ci, sha256: 'b'.repeat(64) }),
      'tokens[1]: its name is that of another token too; remove one of them',
    ],
    [file(ci, { ...ci, name: 'x' }), 'tokens[1]: its sha256 is that of another token too; remove one of them'],
  ])('%s', (text, message) => {
    expect(() => parseTokenFile(text)).toThrow(new Error(message));
  });

  test('whatever else is JSON or not, and quotes no value of it', () => {
    const secret = 'swt_ThisMustNotBeSeenAnywhereAtAll';
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(secret, sha256, 'ci', ci.createdAt, ci));
    const entry = fc.dictionary(fc.constantFrom('sha256', 'scopes', 'createdAt', 'expiresAt', 'name'), value);
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.oneof(value, entry)).map((tokens) => JSON.stringify({ tokens })),
      fc.constant(`{"tokens": [{"name": ${secret}}]}`),
    );
    fc.assert(
      fc.property(text, (text) => {
        try {
          expect(formatTokenFile(parseTokenFile(text))).toEqual(expect.any(String));
        } catch (error) {
          expect((error as Error).constructor).toBe(Error);
          expect((error as Error).message).toMatch(/^(it is not |tokens\[\d+\]: |the file: )/);
          expect((error as Error).message).not.toContain(secret);
        }
      }),
    );
  });
});
