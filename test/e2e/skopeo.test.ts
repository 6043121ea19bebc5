// skopeo copies through the mirror, and what arrives is byte for byte what the upstream itself gives.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { PullScene } from '../support/pull-scene.ts';
import { writeRegistriesConf } from '../support/registries-conf.ts';
import { sha256 } from '../support/served-content.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { requireTools } from '../support/tool.ts';

const isPossible = requireTools('skopeo', 'docker-registry', 'busybox', 'openssl');

describe.skipIf(!isPossible)('skopeo', { timeout: 60_000 }, () => {
  let scene: PullScene;
  let dir: TempDir;
  let copies = 0;

  beforeAll(async () => {
    dir = await tempDir('skopeo');
    // No tag is believed for a moment, so a dead upstream is met by every pull and not hidden by a fresh tag.
    scene = await PullScene.start({ config: { tags: { ttl: '0s' } } });
  });

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  const insecure = ['--insecure-policy'];
  const throughMirror = (image: string) => `docker://${scene.front.host}/docker.io/library/${image}`;

  async function copied(source: string, ...flags: string[]): Promise<Record<string, string>> {
    copies += 1;
    const target = join(dir.path, `copy-${copies}`);
    await run('skopeo', [...insecure, 'copy', '--src-tls-verify=false', ...flags, source, `dir:${target}`]);
    const files = await readdir(target);
    const digests = files.sort().map(async (file) => [file, sha256(await readFile(join(target, file)))] as const);
    return Object.fromEntries(await Promise.all(digests));
  }

  test.each(['oci', 'docker', 'multi', 'docker-multi'])(
    'copies hello:%s byte for byte by a path prefix',
    async (tag) => {
      const direct = await copied(`docker://${scene.registry.host}/library/hello:${tag}`, '--all');
      expect(await copied(throughMirror(`hello:${tag}`), '--all')).toEqual(direct);
      expect(Object.keys(direct).length).toBeGreaterThan(3);
    },
  );

  test('gives the raw manifest unchanged', async () => {
    const inspect = (image: string) => run('skopeo', [...insecure, 'inspect', '--raw', '--tls-verify=false', image]);
    const direct = await inspect(`docker://${scene.registry.host}/library/hello:multi`);
    expect(await inspect(throughMirror('hello:multi'))).toBe(direct);
  });

  test('lists the tags of the upstream', async () => {
    const answer = await run('skopeo', [...insecure, 'list-tags', '--tls-verify=false', throughMirror('hello')]);
    expect(JSON.parse(answer).Tags.sort()).toEqual(['docker', 'docker-multi', 'multi', 'oci', 'offline']);
  });

  test('copies through a mirror in registries.conf', async () => {
    const conf = await writeRegistriesConf(dir.path, scene.front.host, ['docker.io', 'ghcr.io']);
    for (const image of ['docker.io/library/hello:oci', 'ghcr.io/acme/tool:1']) {
      const target = `dir:${join(dir.path, image.replaceAll(/\W/g, '-'))}`;
      await run('skopeo', [...insecure, '--registries-conf', conf, 'copy', `docker://${image}`, target]);
    }
    expect(scene.front.lines).toContain('GET /v2/ghcr.io/acme/tool/manifests/1');
  });

  test('copies from the cache while the upstream is dead', async () => {
    const before = await copied(throughMirror('hello:offline'));
    expect(await scene.withoutUpstream(() => copied(throughMirror('hello:offline')))).toEqual(before);
  });

  test('is told at once that an image does not exist', async () => {
    await expect(copied(throughMirror('nobody-has-this:1'))).rejects.toThrow(/manifest unknown|not found|404/i);
  });

  test('is told at once that an image it never pulled is out of reach', async () => {
    await scene.withoutUpstream(async () => {
      await expect(copied(throughMirror('hello:never'))).rejects.toThrow();
    });
  });
});
