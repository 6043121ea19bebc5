// What is written for each client, read back as that client reads it.
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { buildkitConfig } from '../../../src/cli/client-configs/buildkit.ts';
import type { Writer } from '../../../src/cli/client-configs/client-config.ts';
import { containerdConfig } from '../../../src/cli/client-configs/containerd.ts';
import { crioConfig } from '../../../src/cli/client-configs/cri-o.ts';
import { dockerConfig } from '../../../src/cli/client-configs/docker.ts';
import { k3sConfig } from '../../../src/cli/client-configs/k3s.ts';
import { kanikoConfig } from '../../../src/cli/client-configs/kaniko.ts';
import { parseMirrorAddress } from '../../../src/cli/client-configs/mirror-address.ts';
import { podmanConfig } from '../../../src/cli/client-configs/podman.ts';
import { faultOf } from '../../config/config-files.ts';
import { parsePlainToml } from '../../support/plain-toml.ts';

const registries = ['docker.io', 'ghcr.io', 'registry.corp.example:8443'];
const [plain, plainV6, tls, below] = [
  'http://mirror.example:5000',
  'http://[fd00::1]:5000',
  'https://mirror.example',
  'https://proxy.example/hub',
];

function write(writer: Writer, mirror: string, defaultUpstream = 'docker.io') {
  return writer({ mirror: parseMirrorAddress(mirror), registries, defaultUpstream });
}

const writers = { dockerConfig, containerdConfig, podmanConfig, crioConfig, buildkitConfig, k3sConfig, kanikoConfig };

test.each(Object.entries(writers))(
  '%s says where the file goes, how it is read again and how to check it',
  (_name, writer) => {
    const { path, content, reload, check, notes } = write(writer, plain);
    for (const line of [path, reload, ...check, ...notes]) expect(line).toMatch(/^\S?.*\S$/);
    expect(check.length).toBeGreaterThan(0);
    expect(content).toMatch(/\n$/);
  },
);

test.each(Object.entries(writers))(
  '%s says of HTTPS where its authority goes, and of HTTP nothing',
  (_name, writer) => {
    const isTold = (mirror: string) =>
      write(writer, mirror).notes.some((note) => note.includes('authority of your own'));
    expect([isTold(tls), isTold(plain)]).toEqual([true, false]);
  },
);

test.each(Object.entries(writers))('%s says of loopback that others cannot reach it', (_name, writer) => {
  const isTold = (mirror: string) => write(writer, mirror).notes.some((note) => note.includes('Only this machine'));
  expect([isTold('http://127.0.0.1:5000'), isTold(plain)]).toEqual([true, false]);
});

describe('docker', () => {
  const read = (mirror: string, defaultUpstream?: string) =>
    JSON.parse(write(dockerConfig, mirror, defaultUpstream).content);

  test.each([
    [plain, { 'registry-mirrors': [plain], 'insecure-registries': ['mirror.example:5000'] }],
    [plainV6, { 'registry-mirrors': [plainV6], 'insecure-registries': ['[fd00::1]:5000'] }],
    [tls, { 'registry-mirrors': [tls] }],
    [below, { 'registry-mirrors': [below] }],
  ])('%s', (mirror, file) => {
    expect(read(mirror)).toEqual(file);
  });

  test('names Docker Hub where the root of the mirror is another registry’s', () => {
    expect(read(tls, 'ghcr.io')['registry-mirrors']).toEqual(['https://mirror.example/docker.io']);
  });

  test.each([
    [below, 'docker.io'],
    [tls, 'ghcr.io'],
  ])('says what a path needs: %s by default for %s', (mirror, defaultUpstream) => {
    expect(write(dockerConfig, mirror, defaultUpstream).notes.join()).toContain('needs dockerd 25');
    expect(write(dockerConfig, tls).notes.join()).not.toContain('needs dockerd 25');
  });

  test('is refused by a mirror without Docker Hub', () => {
    const wish = { mirror: parseMirrorAddress(tls), registries: ['ghcr.io'], defaultUpstream: 'ghcr.io' };
    expect(faultOf(() => dockerConfig(wish))).toContain('dockerd mirrors Docker Hub alone');
  });
});

describe('containerd', () => {
  test.each([plain, plainV6, tls, below])('%s', (mirror) => {
    expect(parsePlainToml(write(containerdConfig, mirror).content)).toEqual({
      host: { [mirror]: { capabilities: ['pull', 'resolve'] } },
    });
  });
});

describe.each([
  ['podman', podmanConfig],
  ['CRI-O', crioConfig],
] as const)('%s', (client, writer) => {
  test.each([
    [plain, 'mirror.example:5000', { insecure: true }],
    [plainV6, '[fd00::1]:5000', { insecure: true }],
    [tls, 'mirror.example', {}],
  ])('%s', (mirror, host, trust) => {
    expect(parsePlainToml(write(writer, mirror).content)).toEqual({
      registry: registries.map((registry) => ({
        prefix: registry,
        location: registry,
        mirror: [{ location: `${host}/${registry}`, ...trust }],
      })),
    });
  });

  test('is refused below a path', () => {
    expect(faultOf(() => write(writer, below))).toBe(
      `${client} cannot use a mirror below a path: proxy.example/hub: give --mirror without /hub`,
    );
  });
});

describe('BuildKit', () => {
  test.each([
    [plain, 'mirror.example:5000', { http: true }],
    [plainV6, '[fd00::1]:5000', { http: true }],
    [tls, 'mirror.example', undefined],
  ])('%s', (mirror, host, own) => {
    const entries = registries.map((registry) => [registry, { mirrors: [`${host}/${registry}`] }]);
    expect(parsePlainToml(write(buildkitConfig, mirror).content)).toEqual({
      registry: { ...Object.fromEntries(entries), ...(own && { [host]: own }) },
    });
  });

  test('is refused below a path', () => {
    expect(faultOf(() => write(buildkitConfig, below))).toContain('BuildKit cannot use a mirror below a path');
  });
});

describe('k3s', () => {
  test.each([
    [plain, plain],
    [plainV6, plainV6],
    [tls, tls],
    [below, 'https://proxy.example/hub/v2'],
  ])('%s', (mirror, endpoint) => {
    const entries = registries.map((registry) => [registry, { endpoint: [endpoint] }]);
    expect(parseYaml(write(k3sConfig, mirror).content)).toEqual({ mirrors: Object.fromEntries(entries) });
  });
});

describe('kaniko', () => {
  test.each([
    [plain, 'mirror.example:5000', ['--insecure-registry=mirror.example:5000']],
    [tls, 'mirror.example', []],
  ])('%s', (mirror, host, trust) => {
    expect(write(kanikoConfig, mirror).content.trimEnd().split('\n')).toEqual([
      `--registry-map=index.docker.io=${host}/docker.io`,
      `--registry-map=ghcr.io=${host}/ghcr.io`,
      `--registry-map=registry.corp.example:8443=${host}/registry.corp.example:8443`,
      ...trust,
    ]);
  });
});
