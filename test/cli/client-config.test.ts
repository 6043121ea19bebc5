// `client-config`: stdout is the file, whole and valid; what else there is to know stands in it or on stderr.
import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { directoryWith } from '../config/config-files.ts';
import { parsePlainToml } from '../support/plain-toml.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const mirror = ['--mirror', 'http://mirror.example:5000'];

function clientConfig(argv: readonly string[], config: object = {}) {
  const options = {
    cwd: directoryWith({ 'config.json': config }),
    env: { PATH: process.env.PATH },
    encoding: 'utf8',
  } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'client-config', ...argv], options);
  return { status, stdout, stderr };
}

describe('stdout is a file', () => {
  test.each([
    ['containerd', parsePlainToml],
    ['podman', parsePlainToml],
    ['cri-o', parsePlainToml],
    ['buildkit', parsePlainToml],
    ['k3s', parseYaml],
  ])('of %s with all that there is to know in comments', (client, parse) => {
    const { status, stdout, stderr } = clientConfig([client, ...mirror]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.stringify(parse(stdout))).toContain('mirror.example:5000');
    expect(stdout).toMatch(/^# where: {2}\/etc\/\S+\n# reload: .+\n# check: {2}.+\n/);
  });

  test.each([
    ['docker', /"http:\/\/mirror\.example:5000"/, '/etc/docker/daemon.json'],
    ['kaniko', /^(--registry-(map|mirror)=\S+\n|--insecure-registry=\S+\n)+$/, 'arguments of /kaniko/executor'],
  ])('of %s, which can have no comments: they are on stderr', (client, form, path) => {
    const { status, stdout, stderr } = clientConfig([client, ...mirror]);
    expect(status).toBe(0);
    expect(stdout).toMatch(form);
    expect(stdout).not.toContain('#');
    expect(stderr).toMatch(new RegExp(`^where: {2}${path}\nreload: .+\ncheck: {2}.+\n`));
  });
});

test('--json has all of it', () => {
  const { stdout, stderr } = clientConfig(['docker', ...mirror, '--json']);
  expect(stderr).toBe('');
  const told = JSON.parse(stdout);
  expect(Object.keys(told)).toEqual(['client', 'mirror', 'path', 'content', 'reload', 'check', 'notes']);
  expect(JSON.parse(told.content)).toEqual({
    'registry-mirrors': ['http://mirror.example:5000'],
    'insecure-registries': ['mirror.example:5000'],
  });
});

describe('the configuration tells', () => {
  test('where the mirror is: everywhere on this machine', () => {
    const { stdout } = clientConfig(['containerd'], { listen: { port: 8080 } });
    expect(Object.keys(parsePlainToml(stdout).host as object)).toEqual([`http://${hostname().toLowerCase()}:8080`]);
  });

  test('which registries it serves, by name', () => {
    const config = { upstreams: { 'quay.io': null, 'registry.corp.example': {}, '*': {} } };
    const { mirrors } = parseYaml(clientConfig(['k3s', ...mirror], config).stdout);
    expect(Object.keys(mirrors)).toContain('registry.corp.example');
    expect(Object.keys(mirrors)).toContain('ghcr.io');
    expect(Object.keys(mirrors)).not.toContain('quay.io');
    expect(Object.keys(mirrors)).not.toContain('*');
  });
});

test.each([
  [
    ['docker', '--mirror', 'mirror:5000'],
    /^option '--mirror <url>' argument 'mirror:5000' is invalid\. Write it as http:/,
  ],
  [
    ['docker', '--mirror', 'http://me:hunter2@m'],
    /^option '--mirror <url>' argument '\(hidden\)@m' is invalid\. It may have no user name, password/,
  ],
  [
    ['podman', '--mirror', 'http://m/hub'],
    /^podman cannot use a mirror below a path: m\/hub: give --mirror without \/hub$/,
  ],
  [
    ['dockr'],
    /^command-argument value 'dockr' is invalid for argument 'client'\. Allowed choices are docker, containerd/,
  ],
  [[], /^missing required argument 'client'/],
  [['docker', '--config', 'gone.json'], /^cannot read the configuration file: gone\.json/],
])('%j is told in one line and exits with 2', (argv, message) => {
  const { status, stdout, stderr } = clientConfig(argv);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^stillwater: [^\n]+\n$/);
  expect(stderr.slice('stillwater: '.length, -1)).toMatch(message);
});
