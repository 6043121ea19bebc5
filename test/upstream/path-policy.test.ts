// What may be pulled from an upstream, and what may not.
import { describe, expect, test } from 'vitest';
import { OciError } from '../../src/oci/errors.ts';
import type { PathRules } from '../../src/upstream/path-policy.ts';
import { Upstreams } from '../../src/upstream/upstreams.ts';
import { silentEntry } from './silent-upstream.ts';

function routed(name: string, rules: PathRules): string {
  const entries = [{ ...silentEntry('docker.io'), ...rules }, silentEntry('ghcr.io')];
  try {
    return new Upstreams(entries, 'docker.io').route(name, { ns: undefined, prefix: undefined }).repository.path;
  } catch (error) {
    if (error instanceof OciError && error.code === 'DENIED') return error.message;
    throw error;
  }
}

const refusal = (path: string, why: string) => `${path} may not be pulled through this mirror: it ${why}`;

describe('an upstream', () => {
  test('without rules gives everything', () => {
    expect(routed('a/b', {})).toBe('a/b');
    expect(routed('a/b', { allow: undefined, deny: undefined })).toBe('a/b');
  });

  test('gives only what it allows', () => {
    expect(routed('redis', { allow: ['library/*', 'acme/**'] })).toBe('library/redis');
    expect(routed('acme/team/app', { allow: ['library/*', 'acme/**'] })).toBe('acme/team/app');
    expect(routed('other/app', { allow: ['library/*', 'acme/**'] })).toBe(
      refusal('docker.io/other/app', 'matches no glob of upstreams.docker.io.allow'),
    );
    expect(routed('redis', { allow: [] })).toContain('upstreams.docker.io.allow');
  });

  test('gives nothing that it denies, allowed or not', () => {
    const rules = { allow: ['acme/**'], deny: ['acme/secret/**'] };
    expect(routed('acme/app', rules)).toBe('acme/app');
    expect(routed('acme/secret/app', rules)).toBe(
      refusal('docker.io/acme/secret/app', 'matches a glob of upstreams.docker.io.deny'),
    );
    expect(routed('acme/app', { deny: ['**'] })).toContain('upstreams.docker.io.deny');
  });

  test('is not bound by the rules of another, nor escapes its own under another of its names', () => {
    expect(routed('ghcr.io/a/b', { deny: ['**'] })).toBe('a/b');
    for (const name of ['redis', 'library/redis', 'docker.io/redis', 'index.docker.io/library/redis'])
      expect(routed(name, { deny: ['library/redis'] })).toContain('docker.io/library/redis may not be pulled');
  });
});
