// podman pulls through a mirror in registries.conf and runs what arrived.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { greetings, PullScene } from '../support/pull-scene.ts';
import { writePolicy, writeRegistriesConf } from '../support/registries-conf.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { requireRoot, requireTools } from '../support/tool.ts';

const isPossible =
  requireTools('podman', 'runc', 'conmon', 'docker-registry', 'skopeo', 'busybox', 'openssl') && requireRoot();

describe.skipIf(!isPossible)('podman', { timeout: 120_000 }, () => {
  let scene: PullScene;
  let dir: TempDir;

  beforeAll(async () => {
    dir = await tempDir('podman');
    scene = await PullScene.start();
    await writeRegistriesConf(dir.path, scene.front.host, ['docker.io', 'ghcr.io']);
    await writePolicy(dir.path);
  });

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  /** Each store starts empty. */
  function freshStore(store: string) {
    const place = ['--root', join(dir.path, store), '--runroot', join(dir.path, `${store}-run`)];
    const flags = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
    const env = { CONTAINERS_REGISTRIES_CONF: join(dir.path, 'registries.conf') };
    const podman = (...args: string[]) => run('podman', [...place, ...flags, ...args], { env });
    return {
      pull: (image: string) => podman('pull', '--signature-policy', join(dir.path, 'policy.json'), image),
      printedBy: async (image: string) => {
        // Podman raises the limits by default, which not even root may do on every CI machine.
        const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
        return (await podman('run', '--rm', '--network', 'none', ...limits, '--pull', 'never', image)).trim();
      },
    };
  }

  test.each(['docker', 'multi'] as const)('pulls hello:%s and runs it', async (tag) => {
    const { pull, printedBy } = freshStore(`first-${tag}`);
    await pull(`docker.io/library/hello:${tag}`);
    expect(await printedBy(`docker.io/library/hello:${tag}`)).toBe(greetings[tag]);
    expect(scene.front.lines).toContain(`GET /v2/docker.io/library/hello/manifests/${tag}`);
  });

  test('pulls from another registry', async () => {
    const { pull, printedBy } = freshStore('ghcr');
    await pull('ghcr.io/acme/tool:1');
    expect(await printedBy('ghcr.io/acme/tool:1')).toBe(greetings.tool);
  });

  test('pulls from the cache while the upstream is dead', async () => {
    await freshStore('before').pull('docker.io/library/hello:offline');
    const { pull, printedBy } = freshStore('after');
    await scene.withoutUpstream(() => pull('docker.io/library/hello:offline'));
    expect(await printedBy('docker.io/library/hello:offline')).toBe(greetings.offline);
  });
});
