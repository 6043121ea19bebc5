// What a Docker config.json holds for a registry, in the forms that docker, podman and people write.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findInDockerConfig } from '../../../src/upstream/credentials/docker-config.ts';

const auth = Buffer.from('robot:correct:horse').toString('base64');
const found = { credentials: { username: 'robot', password: 'correct:horse' } };

function find(config: unknown, name = 'ghcr.io') {
  return findInDockerConfig(JSON.stringify(config), name);
}

describe('an entry is found under', () => {
  test.each([
    ['ghcr.io', 'ghcr.io'],
    ['ghcr.io', 'https://ghcr.io'],
    ['ghcr.io', 'https://ghcr.io/'],
    ['ghcr.io', 'https://ghcr.io/v1/'],
    ['ghcr.io', 'https://ghcr.io/v2/'],
    ['ghcr.io', 'https://ghcr.io/v2'],
    ['ghcr.io', 'GHCR.io'],
    ['registry.corp.example:5000', 'http://registry.corp.example:5000'],
    ['docker.io', 'https://index.docker.io/v1/'],
    ['docker.io', 'index.docker.io'],
    ['docker.io', 'docker.io'],
    ['docker.io', 'https://registry-1.docker.io/v2/'],
  ])('%s as %s', (name, key) => {
    expect(find({ auths: { 'quay.io': { auth: 'bm86bm8=' }, [key]: { auth } } }, name)).toEqual(found);
    expect(find({ credHelpers: { 'quay.io': 'other', [key]: 'ecr-login' } }, name)).toEqual({ helper: 'ecr-login' });
  });

  test.each([
    ['ghcr.io', 'ghcr.io/organisation'],
    ['ghcr.io', 'ghcr.io:443'],
    ['ghcr.io', 'evil.ghcr.io'],
    ['ghcr.io', 'ghcr.io.evil.example'],
    ['docker.io', 'hub.docker.io'],
    ['registry.corp.example:5000', 'registry.corp.example'],
  ])('never: %s as %s', (name, key) => {
    expect(find({ auths: { [key]: { auth } } }, name)).toBeUndefined();
  });

  test('the name itself before other forms of it', () => {
    const config = { auths: { 'https://ghcr.io/v2/': { auth: 'b2xkOm9sZA==' }, 'ghcr.io': { auth } } };
    expect(find(config)).toEqual(found);
  });
});

describe('an entry may hold', () => {
  test.each([
    ['base64 of user and password', { auth }, found],
    ['NULs behind the password', { auth: Buffer.from('robot:correct:horse\0\0').toString('base64') }, found],
    ['a user and a password', { username: 'robot', password: 'correct:horse' }, found],
    ['both', { auth, username: 'other', password: 'other' }, found],
    [
      'an identity token besides a user',
      { auth: Buffer.from('00000000-0000-0000-0000-000000000000:').toString('base64'), identitytoken: 'refresh' },
      { credentials: { identityToken: 'refresh' } },
    ],
    ['nothing, as docker login leaves it for a helper', {}, undefined],
    ['only an address', { email: 'robot@corp.example' }, undefined],
    ['empty words', { auth: '', identitytoken: '' }, undefined],
  ])('%s', (_, entry, expected) => {
    expect(find({ auths: { 'ghcr.io': entry } })).toEqual(expected);
  });
});

describe('a helper', () => {
  test('of the registry goes before the one for all, and that before the file', () => {
    const config = { auths: { 'ghcr.io': { auth } }, credsStore: 'pass', credHelpers: { 'ghcr.io': 'gh' } };
    expect(find(config)).toEqual({ helper: 'gh' });
    expect(find({ ...config, credHelpers: { 'quay.io': 'quay' } })).toEqual({ helper: 'pass' });
  });

  test('without a name means the file', () => {
    expect(find({ auths: { 'ghcr.io': { auth } }, credsStore: 'pass', credHelpers: { 'ghcr.io': '' } })).toEqual(found);
    expect(find({ auths: { 'ghcr.io': { auth } }, credsStore: '' })).toEqual(found);
  });
});

describe('a file', () => {
  test.each([
    ['secret', 'it is not JSON'],
    ['{"auths":{"ghcr.io":{"auth":"secret', 'it is not JSON'],
    ['["secret"]', 'it is not a JSON object'],
    ['null', 'it is not a JSON object'],
    ['{"auths":{"ghcr.io":{"auth":"c2VjcmV0"}}}', 'its auth for this registry is not base64 of username:password'],
    ['{"auths":{"ghcr.io":{"auth":"OnNlY3JldA=="}}}', 'its auth for this registry is not base64 of username:password'],
  ])('that is no good is told in our own words: %s', (text, complaint) => {
    expect(() => findInDockerConfig(text, 'ghcr.io')).toThrow(complaint);
  });

  test.each(['{}', '{"auths":null}', '{"auths":[],"credHelpers":1,"credsStore":{}}', '{"auths":{"ghcr.io":"x"}}'])(
    'without an entry has nothing: %s',
    (text) => expect(findInDockerConfig(text, 'ghcr.io')).toBeUndefined(),
  );

  test('of any user and password gives them back', () => {
    const user = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes(':'));
    const pass = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(user, pass, (username, password) => {
        const entry = { auth: Buffer.from(`${username}:${password}`).toString('base64') };
        expect(find({ auths: { 'ghcr.io': entry } })).toEqual({ credentials: { username, password } });
      }),
    );
  });
});
