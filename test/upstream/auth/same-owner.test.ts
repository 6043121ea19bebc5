// Who may see whose credentials: hosts of one registrable domain, where somebody says what can be registered.
import { describe, expect, test } from 'vitest';
import { sameOwner } from '../../../src/upstream/auth/same-owner.ts';

describe('one owner has', () => {
  test.each([
    ['the same host', 'registry.corp', 'registry.corp'],
    ['hosts of one domain', 'auth.docker.io', 'registry-1.docker.io'],
    ['hosts of one domain below a suffix of two parts', 'auth.team.co.uk', 'registry.team.co.uk'],
    ['hosts of one tenant of a shared domain', 'auth.alice.github.io', 'alice.github.io'],
  ])('%s', (_, one, other) => {
    expect([sameOwner(one, other), sameOwner(other, one)]).toEqual([true, true]);
  });
});

describe('nobody knows who has', () => {
  test.each([
    ['two domains', 'docker.io', 'docker.com'],
    ['two tenants of a shared domain', 'alice.github.io', 'mallory.github.io'],
    ['two services of a cluster', 'registry.team.svc.cluster.local', 'evil.other.svc.cluster.local'],
    ['two hosts of a made-up domain', 'registry.acme.corp', 'auth.acme.corp'],
    ['two addresses', '10.0.0.1', '10.0.0.2'],
    ['two addresses of IPv6', '[fd00::1]', '[fd00::2]'],
    ['two single labels', 'registry', 'auth'],
    ['a suffix and what is below it', 'github.io', 'alice.github.io'],
  ])('%s', (_, one, other) => {
    expect([sameOwner(one, other), sameOwner(other, one)]).toEqual([false, false]);
  });
});
