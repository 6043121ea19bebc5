// What `config check --explain` says, and that it is what the mirror does.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Access, type AccessOptions } from '../../src/access/access.ts';
import { nobody } from '../../src/access/principal.ts';
import { Rules } from '../../src/access/rules.ts';
import { explain } from '../../src/cli/explain.ts';
import { OciError } from '../../src/oci/errors.ts';
import { directoryWith, load } from '../config/config-files.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const login = { credentials: { username: 'me', password: 'hunter2' } };
const rules = [
  { effect: 'deny', principals: ['*'], repositories: ['docker.io/acme/secret'] },
  { effect: 'allow', principals: ['ci', 'ops-*'], repositories: ['docker.io/acme/**', 'docker.io/library/nginx'] },
];

function told(content: unknown, principal: string, image: string): Record<string, string> {
  const lines = explain(load(content).config, { principal, image });
  return Object.fromEntries(lines.map((line) => line.split(/: +/s, 1).concat(line.replace(/^[^:]*: +/, ''))));
}

describe('the explanation', () => {
  test('of the defaults', () => {
    expect(told({}, 'anonymous', 'nginx')).toEqual({
      principal: 'anonymous, whoever has no name',
      repository: 'docker.io/library/nginx',
      upstream: 'upstreams.docker.io is asked without credentials: what it gives is what it gives everybody',
      paths: 'every path of upstreams.docker.io may be pulled',
      rule: 'there are none',
      anonymous: 'access.anonymous is "pull": nobody is asked for credentials',
      public: 'may be pulled',
      private: 'may not be pulled: upstreams.docker.io has no credentials, so that the upstream does not give it',
    });
  });

  test.each([
    ['docker.io/acme/app', 'docker.io/acme/app'],
    ['acme/app', 'docker.io/acme/app'],
    ['nginx', 'docker.io/library/nginx'],
    ['nginx:1.27', 'docker.io/library/nginx'],
    ['nginx@sha256:abc', 'docker.io/library/nginx'],
    ['index.docker.io/acme/app', 'docker.io/acme/app'],
    ['ghcr.io/acme/app:v1@sha256:abc', 'ghcr.io/acme/app'],
    ['localhost:5000/acme/app', 'localhost:5000/acme/app'],
    ['localhost:5000/acme/app:v1', 'localhost:5000/acme/app'],
  ])('of %j is about %s', (image, repository) => {
    const upstreams = { 'localhost:5000': { endpoints: ['http://localhost:5000'] } };
    expect(told({ upstreams }, 'ci', image).repository).toBe(repository);
  });

  test('of a name without a registry is about the default upstream', () => {
    expect(told({ defaultUpstream: 'ghcr.io' }, 'ci', 'acme/app').repository).toBe('ghcr.io/acme/app');
  });

  test.each([
    ['elsewhere.example/a/b', 'NAME_UNKNOWN', 'registry elsewhere.example is not configured here'],
    ['Acme/App', 'NAME_INVALID', 'not a repository name: "Acme/App"'],
    ['', 'NAME_INVALID', 'not a repository name: ""'],
  ])('of %j is an error', (image, code, message) => {
    const ask = () => told({}, 'ci', image);
    expect(ask).toThrow(OciError);
    expect(ask).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  test('of a registry that is let in without being named', () => {
    const upstreams = { '*': { deny: ['secret/**'] }, 'gone.example.com': null };
    expect(told({ upstreams }, 'ci', 'registry.example.com/a/b')).toMatchObject({
      repository: 'registry.example.com/a/b',
      upstream: expect.stringMatching(/^upstreams\.\* is asked without credentials/),
      paths: 'upstreams.*.deny let it through',
      public: 'may be pulled',
    });
    expect(told({ upstreams }, 'ci', 'registry.example.com/secret/b').public).toBe(
      'may not be pulled, by anybody: see upstreams.*.deny',
    );
    expect(() => told({ upstreams }, 'ci', 'gone.example.com/a/b')).toThrow('gone.example.com is not configured here');
  });

  test('names the rule that decides', () => {
    const content = { access: { rules }, upstreams: { 'docker.io': login } };
    expect(told(content, 'ops-eu', 'acme/app')).toMatchObject({
      rule: 'access.rules[1] decides: allow "ci", "ops-*" on "docker.io/acme/**", "docker.io/library/nginx"',
      public: 'may be pulled',
      private: 'may be pulled: the rule allows it',
    });
    expect(told(content, 'ci', 'acme/secret')).toMatchObject({
      rule: 'access.rules[0] decides: deny "*" on "docker.io/acme/secret"',
      public: 'may not be pulled: the rule denies it',
      private: 'may not be pulled: the rule denies it',
    });
    expect(told(content, 'dev', 'acme/app')).toMatchObject({
      rule: 'none of the 2 speaks of it',
      upstream:
        'upstreams.docker.io is asked with credentials; visibility "check": ' +
        'who is not allowed more sees what the upstream gives to everybody',
      public: 'may be pulled',
      private: 'may not be pulled: no rule allows it',
    });
  });

  test('takes anonymous for who has no name', () => {
    const own = [
      { effect: 'deny', principals: ['**'], repositories: ['docker.io/acme/app'] },
      { effect: 'allow', principals: ['anonymous'], repositories: ['docker.io/acme/**'] },
    ];
    const content = { access: { rules: own }, upstreams: { 'docker.io': login } };
    expect(told(content, 'anonymous', 'acme/app').rule).toMatch(/^access\.rules\[1\] decides: allow "anonymous"/);
    expect(told(content, 'dev', 'acme/app').rule).toMatch(/^access\.rules\[0\] decides: deny/);
  });

  test('says what visibility means', () => {
    const of = (visibility: string) => told({ upstreams: { 'docker.io': { ...login, visibility } } }, 'dev', 'a/b');
    expect(of('private')).toMatchObject({
      upstream: expect.stringContaining('visibility "private": only who is allowed sees anything'),
      public: 'may not be pulled: upstreams.docker.io is private, and no rule allows it',
      private: 'may not be pulled: no rule allows it',
    });
    expect(told({ upstreams: { 'docker.io': { visibility: 'private' } } }, 'dev', 'a/b')).toMatchObject({
      upstream:
        'upstreams.docker.io is asked without credentials; visibility "private": only who is allowed sees anything',
      public: 'may not be pulled: upstreams.docker.io is private, and no rule allows it',
    });
    expect(of('public')).toMatchObject({
      upstream: expect.stringContaining('visibility "public": everybody sees what the credentials can see'),
      public: 'may be pulled',
      private: 'may be pulled: upstreams.docker.io.visibility is "public"',
    });
  });

  test('says which paths an upstream gives, whoever is allowed more', () => {
    const upstreams = { 'docker.io': { ...login, allow: ['acme/**'], deny: ['acme/x'] } };
    const content = { upstreams, access: { rules } };
    expect(told(content, 'ci', 'acme/app').paths).toBe(
      'upstreams.docker.io.allow and upstreams.docker.io.deny let it through',
    );
    expect(told(content, 'ci', 'acme/x')).toMatchObject({
      paths: 'upstreams.docker.io.deny has a glob that matches it',
      public: 'may not be pulled, by anybody: see upstreams.docker.io.deny',
      private: 'may not be pulled, by anybody: see upstreams.docker.io.deny',
    });
    expect(told(content, 'ci', 'nginx')).toMatchObject({
      paths: 'upstreams.docker.io.allow has no glob that matches it',
      private: 'may not be pulled, by anybody: see upstreams.docker.io.allow',
    });
  });

  test('says that the mirror asks for credentials', () => {
    const content = { access: { anonymous: 'none', networks: [{ cidr: '10.0.0.0/8', principal: 'ci' }] } };
    const anonymous = 'access.anonymous is "none": whoever has no name is asked for credentials';
    expect(told(content, 'anonymous', 'nginx')).toMatchObject({
      anonymous,
      public: 'may not be pulled: access.anonymous is "none"',
      private: 'may not be pulled: access.anonymous is "none"',
    });
    expect(told(content, 'ci', 'nginx')).toMatchObject({ anonymous, public: 'may be pulled' });
  });
});

describe('what it says is what the mirror does', () => {
  const visibilities = ['public', 'private', 'check'] as const;
  const cases = ['ci', 'anonymous'].flatMap((principal) =>
    (['allow', 'deny', 'none'] as const).flatMap((effect) =>
      visibilities.flatMap((visibility) =>
        [true, false].flatMap((isPublic) =>
          [login, {}].map((credentials) => ({ principal, effect, visibility, isPublic, credentials })),
        ),
      ),
    ),
  );

  test.each(cases)('to $principal: $effect, $visibility, public: $isPublic, $credentials', async (one) => {
    const { principal, effect, visibility, isPublic, credentials } = one;
    const ruled = effect === 'none' ? [] : [{ effect, principals: ['*'], repositories: ['**'] }];
    const upstreams = { 'docker.io': { ...credentials, visibility } };
    const said = told({ upstreams, access: { rules: ruled } }, principal, 'acme/app');

    const isAlone = credentials !== login;
    const exposure = isAlone && visibility !== 'private' ? 'nothing' : visibility;
    const known = { check: async () => (isPublic ? 'public' : 'private'), isProvenPublic: () => false };
    const parts = { asksForCredentials: false, rules: new Rules(ruled), visibility: known };
    const access = new Access(parts as unknown as AccessOptions);
    const who = principal === 'anonymous' ? nobody : ({ name: principal, by: 'password' } as const);
    const wish = { principal: who, repository: { registry: 'docker.io', path: 'acme/app' }, exposure } as const;
    const question = { ask: async () => isPublic, signal: AbortSignal.timeout(10_000), address: '127.0.0.1' };
    const { isAllowed } = await access.decide(wish, question);
    // Asked without credentials, an upstream itself keeps private content back.
    const mayPull = isAllowed && (!isAlone || isPublic);
    expect(said[isPublic ? 'public' : 'private']).toMatch(mayPull ? /^may be pulled/ : /^may not be pulled/);
  });
});

describe('config check --explain', () => {
  const stillwater = (...argv: string[]) => {
    const cwd = directoryWith({ 'config.json': { access: { rules }, upstreams: { 'docker.io': login } } });
    const options = { cwd, env: { PATH: process.env.PATH }, encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'config', 'check', ...argv], options);
    return { status, stdout, stderr };
  };

  test('prints the explanation behind the check, and no secret', () => {
    const { status, stdout, stderr } = stillwater('--explain', 'ci', 'acme/app');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^config\.json: fine\nprincipal: {2}ci\nrepository: docker\.io\/acme\/app\n/);
    expect(stdout).toMatch(/\nprivate: {4}may be pulled: the rule allows it\n$/);
    expect(stdout).not.toContain('hunter2');
  });

  test('exits with 0 whatever is allowed', () => {
    expect(stillwater('--explain', 'ci', 'acme/secret').status).toBe(0);
  });

  test('exits with 1 for a registry that is not configured', () => {
    expect(stillwater('--explain', 'ci', 'elsewhere.example/a/b')).toEqual({
      status: 1,
      stdout: 'config.json: fine\n',
      stderr:
        "stillwater: registry elsewhere.example is not configured here; see the mirror's upstreams configuration\n",
    });
  });

  test.each([
    [['--explain', 'ci'], '--explain needs a repository too: --explain PRINCIPAL REPOSITORY'],
    [['acme/app'], "'acme/app' needs a principal too: --explain PRINCIPAL acme/app"],
    [['--explain', '*', 'acme/app'], "'*' is nobody's name: give one principal, or \"anonymous\""],
    [['--explain'], "option '--explain <principal>' argument missing"],
  ])('%j is told in one line and exits with 2', (argv, message) => {
    expect(stillwater(...argv)).toEqual({
      status: 2,
      stdout: '',
      stderr: `stillwater: ${message}; see stillwater --help\n`,
    });
  });
});
