// Real clients meet a mirror whose upstream accepts and never answers, with default time-outs, and go on to their next host.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Containerd } from '../support/containerd.ts';
import { Dockerd } from '../support/dockerd.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { startMirror } from '../support/mirror-process.ts';
import { SilentServer } from '../support/silent-server.ts';
import { tell } from '../support/tell.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { addUnpackable } from '../support/unpackable-image.ts';

const isPossible = requireTools('dockerd', 'docker', 'containerd', 'ctr', 'runc') && requireRoot();
const patienceMs = 10_000;

describe.skipIf(!isPossible)('a mirror whose upstream hangs', { timeout: 120_000 }, () => {
  let silent: SilentServer;
  let next: FakeUpstream;
  let nextAskedAt: number | undefined;

  beforeAll(async () => {
    silent = await SilentServer.start();
    next = await startFakeUpstream({
      intercept: async () => {
        nextAskedAt ??= performance.now();
        return false;
      },
    });
    await addUnpackable(next, { repository: 'library/app', seed: 600 });
  });

  afterAll(async () => {
    await next?.[Symbol.asyncDispose]();
    await silent?.[Symbol.asyncDispose]();
  });

  /** From the order to pull until the next host hears of it, and until the image is there. */
  async function measured(client: string, pull: () => Promise<unknown>): Promise<void> {
    nextAskedAt = undefined;
    const dialled = silent.connections;
    const startedAt = performance.now();
    await pull();
    const totalMs = performance.now() - startedAt;
    const nextMs = (nextAskedAt ?? Number.POSITIVE_INFINITY) - startedAt;
    tell({ client, 'ms to the next host': nextMs, 'ms in all': totalMs });
    // The mirror did try: it was not passed over for another reason.
    expect(silent.connections).toBeGreaterThan(dialled);
    expect(nextMs).toBeLessThanOrEqual(patienceMs);
    // What follows finds the circuit open: no later request of the same pull waits again.
    expect(totalMs - nextMs).toBeLessThan(5_000);
  }

  test('costs containerd at most 10 s before it asks the next host', async () => {
    await using mirror = await startMirror({ upstreams: { 'docker.io': silent.url } });
    await using containerd = await Containerd.start();
    const host = (url: string) => `[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`;
    await containerd.setHosts('docker.io', `${host(mirror.url)}${host(next.url)}`);
    await measured('containerd', () => containerd.pull('docker.io/library/app:latest'));
    expect(await containerd.ctr('images', 'ls', '--quiet')).toContain('docker.io/library/app:latest');
  });

  test('costs dockerd at most 10 s before it asks the next mirror', async () => {
    await using mirror = await startMirror({ upstreams: { 'docker.io': silent.url } });
    await using dockerd = await Dockerd.start({ mirrors: [mirror.url, next.url] });
    await measured('dockerd', () => dockerd.docker('pull', '--quiet', 'app:latest'));
    expect(await dockerd.docker('images', '--quiet', 'app:latest')).toMatch(/^[0-9a-f]{12}/);
  });
});
