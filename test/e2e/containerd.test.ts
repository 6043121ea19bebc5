// A real containerd pulls through the mirror by hosts.toml, in both forms that people write.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Containerd } from '../support/containerd.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { ImageLayout } from '../support/oci-images.ts';
import { PullScene } from '../support/pull-scene.ts';
import { tempDir } from '../support/temp-dir.ts';
import { requireRoot, requireTools } from '../support/tool.ts';

const isPossible =
  requireTools('containerd', 'ctr', 'docker-registry', 'skopeo', 'busybox', 'openssl') && requireRoot();

describe.skipIf(!isPossible)('containerd with hosts.toml', { timeout: 120_000 }, () => {
  let scene: PullScene;

  beforeAll(async () => {
    scene = await PullScene.start();
  });

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
  });

  const rootForm = () => `[host."${scene.front.url}"]\n  capabilities = ["pull", "resolve"]\n`;
  const prefixForm = (registry: string) =>
    `[host."${scene.front.url}/v2/${registry}"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n`;

  /** Pulls into a containerd that holds nothing, and returns what it asked of the mirror. */
  async function freshPull(reference: string, registry: string, hosts: string): Promise<string[]> {
    await using containerd = await Containerd.start();
    await containerd.setHosts(registry, hosts);
    const before = scene.front.requests.length;
    await containerd.pull(reference);
    expect(await containerd.ctr('images', 'ls', '--quiet')).toContain(reference);
    return scene.front.lines.slice(before);
  }

  test.each(['oci', 'docker', 'multi', 'docker-multi'])('pulls hello:%s by the root with ?ns=', async (tag) => {
    const requests = await freshPull(`docker.io/library/hello:${tag}`, 'docker.io', rootForm());
    expect(requests[0]).toBe(`HEAD /v2/library/hello/manifests/${tag}?ns=docker.io`);
  });

  test('pulls by a path prefix and ?ns= at once', async () => {
    const requests = await freshPull('docker.io/library/hello:multi', 'docker.io', prefixForm('docker.io'));
    expect(requests[0]).toBe('HEAD /v2/docker.io/library/hello/manifests/multi?ns=docker.io');
  });

  test.each(['root', 'prefix'])('pulls from another registry by its %s', async (form) => {
    await freshPull('ghcr.io/acme/tool:1', 'ghcr.io', form === 'root' ? rootForm() : prefixForm('ghcr.io'));
  });

  test('asks once for each object of a cold pull', async () => {
    const requests = await freshPull('docker.io/library/hello:docker-multi', 'docker.io', rootForm());
    expect(new Set(requests).size).toBe(requests.length);
  });

  test('pulls from the cache while the upstream is dead', async () => {
    await freshPull('docker.io/library/hello:offline', 'docker.io', rootForm());
    await scene.withoutUpstream(() => freshPull('docker.io/library/hello:offline', 'docker.io', rootForm()));
  });

  test('goes on to the next host when the upstream does not have the image', async () => {
    await using dir = await tempDir('elsewhere');
    await using elsewhere = await DockerRegistry.start();
    const layout = await ImageLayout.create(dir.path);
    await layout.addImage('1', { greeting: 'hello from elsewhere' });
    await elsewhere.push(layout.reference('1'), 'library/elsewhere:1');
    const hosts = `${rootForm()}[host."${elsewhere.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    const requests = await freshPull('docker.io/library/elsewhere:1', 'docker.io', hosts);
    expect(requests).toContain('HEAD /v2/library/elsewhere/manifests/1?ns=docker.io');
  });
});
