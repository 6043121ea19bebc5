// Which times a tag goes by: the defaults, or those of the first rule that matches.
import { describe, expect, test } from 'vitest';
import { TagPolicy, type TagRule } from '../../src/mirror/tag-policy.ts';

const usual = {
  ttlMs: 300,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 3000,
  negativeTtlMs: 30,
  revalidateTimeoutMs: 2,
};

function ttl(rules: readonly TagRule[], path: string, tag?: string, registry = 'docker.io'): number {
  return new TagPolicy({ ...usual, rules }).times({ registry, path }, tag).ttlMs;
}

describe('a tag policy', () => {
  test('without rules gives the defaults', () => {
    expect(new TagPolicy(usual).times({ registry: 'docker.io', path: 'library/redis' }, '7')).toEqual(usual);
  });

  test('takes from a rule what it says, and leaves the rest as by default', () => {
    const rules = [{ match: 'docker.io/library/redis', ttlMs: Number.POSITIVE_INFINITY, negativeTtlMs: undefined }];
    const policy = new TagPolicy({ ...usual, rules });
    expect(policy.times({ registry: 'docker.io', path: 'library/redis' }, '7')).toEqual({
      ...usual,
      ttlMs: Number.POSITIVE_INFINITY,
    });
    expect(policy.usual).toEqual(usual);
  });

  test('goes by the first rule that matches, whatever the later ones say', () => {
    const rules = [
      { match: 'docker.io/library/*:latest', ttlMs: 1 },
      { match: 'docker.io/library/**', ttlMs: 2 },
      { match: '**', ttlMs: 3 },
    ];
    expect(ttl(rules, 'library/redis', 'latest')).toBe(1);
    expect(ttl(rules, 'library/redis', '7')).toBe(2);
    expect(ttl(rules, 'acme/app', 'latest')).toBe(3);
    expect(ttl(rules.slice(0, 2), 'acme/app', 'latest')).toBe(300);
  });

  test.each<[string, string, string, boolean]>([
    ['docker.io/library/redis:7', 'library/redis', '7', true],
    ['docker.io/library/redis:7', 'library/redis', '7.1', false],
    ['docker.io/library/redis:7*', 'library/redis', '7.1-alpine', true],
    ['docker.io/library/redis', 'library/redis', 'anything', true],
    ['docker.io/library/*:*-alpine', 'library/node', '22-alpine', true],
    ['docker.io/library/*:*-alpine', 'library/node', '22', false],
    ['docker.io/library/*', 'library/deep/node', '22', false],
    ['**:latest', 'library/deep/node', 'latest', true],
    ['**:latest', 'library/deep/node', 'edge', false],
    ['library/redis:7', 'library/redis', '7', false],
  ])('%s for %s:%s is a match: %s', (match, path, tag, isMatch) => {
    expect(ttl([{ match, ttlMs: 1 }], path, tag)).toBe(isMatch ? 1 : 300);
  });

  test('takes a colon before the last slash for the port of a registry', () => {
    const registry = 'registry.test:5000';
    expect(ttl([{ match: 'registry.test:5000/**', ttlMs: 1 }], 'acme/app', 'x', registry)).toBe(1);
    expect(ttl([{ match: 'registry.test:5000/acme/*:x', ttlMs: 1 }], 'acme/app', 'x', registry)).toBe(1);
    expect(ttl([{ match: 'registry.test:5000/acme/*:x', ttlMs: 1 }], 'acme/app', 'y', registry)).toBe(300);
  });

  test('for what has no tag goes by rules for all tags only', () => {
    const rules = [
      { match: 'docker.io/acme/*:*', ttlMs: 1 },
      { match: 'docker.io/acme/*', ttlMs: 2 },
    ];
    expect(ttl(rules, 'acme/app')).toBe(2);
    expect(ttl(rules.slice(0, 1), 'acme/app')).toBe(300);
  });
});
