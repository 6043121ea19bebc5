// The published files for clients: what client-config prints for them, and what the documentation shows, can be read.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { directoryWith } from '../../config/config-files.ts';
import { parsePlainToml } from '../../support/plain-toml.ts';

const project = join(import.meta.dirname, '../../..');
const examples = join(project, 'examples');
const read = (...path: readonly string[]) => readFileSync(join(examples, ...path), 'utf8');

test.each([
  ['docker', 'docker/daemon.json'],
  ['containerd', 'containerd/hosts.toml'],
  ['k3s', 'k3s/registries.yaml'],
  ['podman', 'podman/50-stillwater.conf'],
  ['buildkit', 'buildkit/buildkitd.toml'],
])('the example for %s is what client-config prints', (client, file) => {
  const argv = [join(project, 'src/main.ts'), 'client-config', client, '--mirror', 'http://mirror.example:5000'];
  const options = { cwd: directoryWith({}), env: { PATH: process.env.PATH }, encoding: 'utf8' } as const;
  expect(read(file)).toBe(spawnSync(process.execPath, argv, options).stdout);
});

describe('setup-node.sh', () => {
  const script = join(examples, 'containerd', 'setup-node.sh');
  function setUp(config: string | undefined, mirror = 'http://mirror.example:5000') {
    const root = directoryWith(config === undefined ? {} : { 'etc/containerd/config.toml': config });
    const run = (...argv: readonly string[]) => {
      const env = { PATH: process.env.PATH, ROOT: root, RESTART: 'echo restarted' };
      const { status, stdout, stderr } = spawnSync('sh', [script, ...argv], { env, encoding: 'utf8' });
      return { status, stdout, stderr };
    };
    const file = (path: string) => {
      const at = join(root, 'etc/containerd', path);
      return existsSync(at) ? readFileSync(at, 'utf8') : undefined;
    };
    return { ...run(mirror), again: () => run(mirror), file };
  }

  const named = 'config_path = "/etc/containerd/certs.d"';

  test('writes what the example for containerd has', () => {
    const { status, file } = setUp(undefined);
    expect(status).toBe(0);
    expect(parsePlainToml(file('certs.d/_default/hosts.toml') ?? '')).toEqual(
      parsePlainToml(read('containerd', 'hosts.toml')),
    );
  });

  test.each([
    ['no file', undefined, `version = 2\n\n[plugins."io.containerd.grpc.v1.cri".registry]\n  ${named}\n`],
    ['version 2', 'version = 2\n', `version = 2\n\n[plugins."io.containerd.grpc.v1.cri".registry]\n  ${named}\n`],
    ['version 3', 'version = 3\n', `version = 3\n\n[plugins.'io.containerd.cri.v1.images'.registry]\n  ${named}\n`],
    [
      'the default of containerd 1',
      'version = 2\n    [plugins."io.containerd.grpc.v1.cri".registry]\n      config_path = ""\n',
      `version = 2\n    [plugins."io.containerd.grpc.v1.cri".registry]\n      ${named}\n`,
    ],
  ])('names the folder once, with %s', (_what, before, after) => {
    const { status, stdout, again, file } = setUp(before);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: 'restarted\ncontainerd pulls through http://mirror.example:5000\n',
    });
    expect(file('config.toml')).toBe(after);
    expect(file('config.toml.before-stillwater')).toBe(before);
    expect(again().stdout).not.toContain('restarted');
    expect(file('config.toml')).toBe(after);
  });

  test('leaves alone what names the folder already', () => {
    const config = "version = 3\n  config_path = '/etc/containerd/certs.d:/etc/docker/certs.d'\n";
    const { status, stdout, file } = setUp(config);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'containerd pulls through http://mirror.example:5000\n' });
    expect(file('config.toml')).toBe(config);
  });

  test.each([
    ['mirrors of the old kind', 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\n', 1],
    ['a table of registries of its own', 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n', 1],
    ['version 1', 'disabled_plugins = ["cri"]\n', 1],
  ])('changes nothing where it finds %s, and says what to do', (_what, config, code) => {
    const { status, stderr, file } = setUp(config);
    expect(status).toBe(code);
    expect(stderr).toMatch(/config\.toml: .+; then run this again\n$/);
    expect(file('config.toml')).toBe(config);
    expect(file('certs.d/_default/hosts.toml')).toBeUndefined();
  });

  test('takes no address without a scheme', () => {
    const { status, stderr, file } = setUp(undefined, 'mirror.example:5000');
    expect(status).toBe(2);
    expect(stderr).toContain('write it as http://mirror.example:5000');
    expect(file('config.toml')).toBeUndefined();
  });

  test('is the one that the DaemonSet runs', () => {
    const [config, set] = parseAllDocuments(read('containerd', 'node-setup.yaml')).map((document) => {
      expect(document.errors).toEqual([]);
      return document.toJS();
    });
    expect(config.data['setup-node.sh']).toBe(readFileSync(script, 'utf8'));
    const [volume] = set.spec.template.spec.volumes;
    expect(volume.configMap.name).toBe(config.metadata.name);
    expect(set.spec.selector.matchLabels).toEqual(set.spec.template.metadata.labels);
  });
});

describe('docs/clients.md', () => {
  const text = readFileSync(join(project, 'docs/clients.md'), 'utf8');
  const blocks = [...text.matchAll(/^```(json|yaml|toml)\n(.*?)^```$/gms)].map(([, kind = '', body = '']) => [
    kind,
    body,
  ]);
  const parsers: Readonly<Record<string, (text: string) => unknown>> = {
    json: JSON.parse,
    yaml: parseYaml,
    toml: parsePlainToml,
  };

  test.each(blocks)('has %s that can be read: %s', (kind = '', body = '') => {
    expect(parsers[kind]?.(body)).toBeTypeOf('object');
  });

  test('names files that are there', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    const own = links.filter((link) => !link.startsWith('http'));
    expect(own.length).toBeGreaterThan(5);
    expect(own.filter((link) => !existsSync(join(project, 'docs', link)))).toEqual([]);
  });
});
