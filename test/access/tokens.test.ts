// Named tokens: which text is whose, until when, for what, and when it was used.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { TokenRecord } from '../../src/access/token-file.ts';
import { newTokenText, Tokens, tokenHash } from '../../src/access/tokens.ts';

const createdAt = '2026-01-01T00:00:00Z';
const text = newTokenText();

function scene(record: Partial<TokenRecord> = {}) {
  const clock = { ms: Date.parse(createdAt) };
  const ci: TokenRecord = { name: 'ci', sha256: tokenHash(text), createdAt, ...record };
  const tokens = new Tokens({ now: () => clock.ms });
  tokens.use([ci]);
  return { clock, ci, tokens };
}

describe('a token', () => {
  test('is 256 random bits that say whose they are', () => {
    const texts = Array.from({ length: 100 }, newTokenText);
    expect(new Set(texts).size).toBe(100);
    for (const each of texts) {
      expect(each).toMatch(/^swt_[\w-]{43}$/);
      expect(Buffer.from(each.slice(4), 'base64url')).toHaveLength(32);
    }
    expect(tokenHash(text)).toBe(createHash('sha256').update(text, 'ascii').digest('hex'));
  });

  test('is the principal of its name, for every repository', () => {
    expect(scene().tokens.find(text)).toEqual({ name: 'ci', by: 'token' });
  });

  test('is for its scopes only, if it has some', () => {
    const token = scene({ scopes: ['docker.io/acme/**', 'ghcr.io/*/app'] }).tokens.find(text);
    const covered = ['docker.io/acme/a', 'docker.io/acme/a/b', 'ghcr.io/acme/app'];
    const others = ['docker.io/acme', 'docker.io/acme2/a', 'ghcr.io/acme/b/app', 'docker.io/library/redis'];
    expect([...covered, ...others].filter((each) => token?.covers?.(each))).toEqual(covered);
  });

  test('is good up to the millisecond it expires in', () => {
    const { tokens, clock } = scene({ expiresAt: '2026-01-02T02:00:00+02:00' });
    clock.ms = Date.parse('2026-01-02T00:00:00Z') - 1;
    const token = tokens.find(text);
    expect(token?.name).toBe('ci');
    clock.ms += 1;
    expect(tokens.find(text)).toBeUndefined();
    expect(token && tokens.isStillGood(token)).toBe(false);
  });

  test.each([
    ['another', newTokenText()],
    ['its hash', tokenHash(text)],
    ['a part of it', text.slice(0, -1)],
    ['more than it', `${text}a`],
    ['it with another beginning', text.replace('swt_', 'swi_')],
    ['it in capitals', text.toUpperCase()],
    ['nothing', ''],
  ])('is not %s', (_what, other) => {
    const { tokens } = scene();
    expect(tokens.find(other)).toBeUndefined();
    expect(tokens.lastUses().size).toBe(0);
  });
});

describe('another file', () => {
  test('ends the tokens that are not in it', () => {
    const { tokens } = scene();
    const token = tokens.find(text);
    tokens.use([]);
    expect(tokens.find(text)).toBeUndefined();
    expect(token && tokens.isStillGood(token)).toBe(false);
    expect(tokens.lastUses().size).toBe(0);
  });

  test('that says the same of a token leaves as good what it gave', () => {
    const { tokens, ci } = scene({ scopes: ['docker.io/**'] });
    const token = tokens.find(text);
    tokens.use([{ ...ci, scopes: ['docker.io/**'] }]);
    expect(token && tokens.isStillGood(token)).toBe(true);
  });

  test.each<[string, Partial<TokenRecord>]>([
    ['other scopes', { scopes: ['docker.io/acme/**'] }],
    ['an earlier end', { expiresAt: '2026-06-01T00:00:00Z' }],
    ['another text', { sha256: tokenHash(newTokenText()) }],
    ['another name', { name: 'deploy' }],
  ])('that gives it %s ends what it gave before', (_what, change) => {
    const { tokens, ci } = scene();
    const token = tokens.find(text);
    tokens.use([{ ...ci, ...change }]);
    expect(token && tokens.isStillGood(token)).toBe(false);
  });
});

describe('the last use', () => {
  test('is when a token was found, and not when it was asked whether it is still good', () => {
    const { tokens, clock } = scene();
    const usedAt = clock.ms;
    const token = tokens.find(text);
    clock.ms += 1000;
    expect(token && tokens.isStillGood(token)).toBe(true);
    expect([...tokens.lastUses()]).toEqual([['ci', usedAt]]);
    tokens.find(text);
    expect([...tokens.lastUses()]).toEqual([['ci', usedAt + 1000]]);
  });

  test('is not noted of a token that has expired', () => {
    const { tokens } = scene({ expiresAt: '2025-01-01T00:00:00Z' });
    tokens.find(text);
    expect(tokens.lastUses().size).toBe(0);
  });

  test('before this process is taken over, unless there was one since or the token is gone', () => {
    const { tokens, clock, ci } = scene();
    tokens.use([ci, { ...ci, name: 'idle', sha256: 'b'.repeat(64) }]);
    tokens.find(text);
    tokens.recall(
      new Map([
        ['ci', clock.ms - 5],
        ['idle', 7],
        ['gone', 8],
      ]),
    );
    expect([...tokens.lastUses()]).toEqual([
      ['ci', clock.ms],
      ['idle', 7],
    ]);
  });
});
