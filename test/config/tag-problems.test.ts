// Rules for tags that would match none are refused when they are read, with what they would have to be.
import { describe, expect, test } from 'vitest';
import { faultOf, load } from './config-files.ts';

function withRules(globs: readonly string[], upstreams = {}) {
  return { upstreams, tags: { rules: globs.map((match) => ({ match, ttl: '1m' })) } };
}

describe('refuses a rule over', () => {
  test.each([
    ['', 'allowed is a glob over registry/path, with or without :tag'],
    ['[', 'a glob over registry/path'],
    ['*', '"**" is all'],
    ['latest', 'a glob over registry/path'],
    [':latest', 'a glob over registry/path'],
    ['*:latest', '"**" is all'],
    ['a b:{', 'a glob over registry/path'],
    ['** b', 'a glob over lower-case paths'],
    ['*/a b', 'a glob over lower-case paths'],
    ['docker.io/Acme/app:1', 'a glob over lower-case paths'],
    ['docker.io/alpine:latest', 'names of one part are under "docker.io/library/alpine"'],
    ['acme/app:1', 'a glob that begins with one of the upstreams: docker.io, '],
    ['gone.example:5000/app', 'a glob that begins with one of the upstreams: docker.io, '],
    ['docker.io/acme:1/app', 'a glob over repositories, without tag or digest'],
    ['docker.io/acme/app@sha256:*', 'a glob over tags, such as "docker.io/library/*:latest"'],
    ['**:', 'a glob with one over tags behind its last ":"'],
    ['**:a:b', 'a glob with one over tags behind its last ":"'],
    ['**:{1,2}', 'a glob with one over tags behind its last ":"'],
    ['**:.hidden', 'a glob with one over tags behind its last ":"'],
    [`**:${'x'.repeat(129)}`, 'of at most 128 characters'],
    [`**:${'*'.repeat(5000)}`, 'of at most 128 characters'],
    ['*'.repeat(5000), 'a glob of at most 1000 characters'],
  ])('%s', (glob, why) => {
    const fault = faultOf(() => load(withRules(['**:latest', glob])));
    expect(fault).toContain('tags.rules[1].match');
    expect(fault).toContain(why);
  });
});

test.each([
  '**',
  '**:latest',
  '**_internal:1',
  '**:*',
  '*/acme/**',
  'docker.io/library/*:*-v*',
  'docker.io/**:V1.2_3-x',
  `docker.io/acme/app:${'x'.repeat(128)}`,
  '[::1]:5000/**:1',
  'registry.test:5000/app',
  'registry.test:5000/app:**',
  '*:5000/app:1',
])('takes a rule over %s', (glob) => {
  const upstreams = { 'registry.test:5000': {}, '[::1]:5000': {} };
  expect(load(withRules([glob], upstreams)).config.tags.rules).toMatchObject([{ match: glob }]);
});

test('takes a rule over any registry where any may be asked', () => {
  expect(load(withRules(['elsewhere.example/acme/**:1'], { '*': {} })).config.tags.rules).toHaveLength(1);
});
