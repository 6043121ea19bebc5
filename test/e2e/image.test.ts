// The container image: built from the Dockerfile, run as the examples run it, pulled through, stopped.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { run } from '../support/command.ts';
import { Dockerd } from '../support/dockerd.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { freePort } from '../support/free-port.ts';
import { makeNodeImage } from '../support/node-image.ts';
import { generateContent } from '../support/served-content.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { addUnpackable } from '../support/unpackable-image.ts';
import { until } from '../support/until.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const isPossible = requireTools('dockerd', 'docker', 'containerd', 'runc', 'busybox', 'npm') && requireRoot();
const image = 'stillwater:test';
const base = 'node:stand-in';

describe.skipIf(!isPossible)('the container image', { timeout: 120_000 }, () => {
  let upstream: FakeUpstream;
  let dockerd: Dockerd;
  let dir: TempDir;
  let port: number;
  let adminPort: number;

  beforeAll(async () => {
    dir = await tempDir('image');
    upstream = await startFakeUpstream();
    [port, adminPort] = [await freePort(), await freePort()];
    dockerd = await Dockerd.start({ mirrors: [`http://127.0.0.1:${port}`], storageDriver: 'overlay2' });
    await makeNodeImage(dockerd, base);
    // This daemon has no network but the host's.
    const build = ['build', '--network', 'host', '--build-arg', `NODE_IMAGE=${base}`, '--tag', image, project];
    await run('docker', ['-H', dockerd.host, ...build], { timeoutMs: 600_000 });
    const config = {
      // Of these the health check has to know.
      admin: { port: adminPort, token: 'of-the-operator' },
      upstreams: { 'docker.io': { endpoints: [upstream.url] } },
      cache: { minFree: '100MB' },
    };
    await writeFile(join(dir.path, 'config.json'), JSON.stringify(config));
  }, 900_000);

  afterAll(async () => {
    await dockerd?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  test('holds what it takes to run, and nothing of what it takes to build', async () => {
    const script = `
      const { readdirSync } = require('node:fs');
      const files = readdirSync('/app', { recursive: true });
      console.log(JSON.stringify({
        top: readdirSync('/app').sort(),
        stray: files.filter((file) => /(\\.map|\\.d\\.[cm]?ts)$|node_modules.(typescript|vitest|node|@biomejs.biome)$/.test(file)),
      }));`;
    const printed = await dockerd.docker(
      'run',
      '--rm',
      '--network',
      'none',
      '--entrypoint',
      'node',
      image,
      '-e',
      script,
    );
    expect(JSON.parse(printed)).toEqual({
      top: ['LICENSE', 'config.example.json', 'dist', 'node_modules', 'package.json'],
      stray: [],
    });
    const [whole = 0, below = 0] = (await inspected('{{.Size}}', image, base)).map(Number);
    expect(whole - below).toBeLessThan(60 * 1024 * 1024);
  });

  test('is healthy as nobody in particular, on a root that cannot be written', async () => {
    await using _ = await runMirror('healthy');
    await until('it is healthy', async () => (await inspected('{{.State.Health.Status}}', 'healthy'))[0] === 'healthy');
    const [, row = ''] = (await dockerd.docker('top', 'healthy', '-o', 'pid,uid,gid')).split('\n');
    expect(row.trim().split(/\s+/).slice(1)).toEqual(['1000', '1000']);
    expect(await dockerd.docker('exec', 'healthy', 'stillwater', 'status')).toContain('ready      yes');
    await expect(dockerd.docker('exec', 'healthy', 'touch', '/app/mine')).rejects.toThrow('Read-only');
  });

  test('gives another start what it kept, with the upstream away', async () => {
    await addUnpackable(upstream, { repository: 'library/kept', seed: 1 });
    {
      await using _ = await runMirror('first');
      await dockerd.docker('pull', 'kept');
    }
    await dockerd.forget('kept');
    const asked = upstream.server.requests.length;
    await using _ = await runMirror('second', { STILLWATER_OFFLINE: 'true' });
    await dockerd.docker('pull', 'kept');
    expect(upstream.server.requests.length).toBe(asked);
  });

  test('lets a running pull finish when it is stopped, and exits with 0', async () => {
    const layer = await generateContent({ size: 24 * 1024 * 1024, seed: 3 });
    upstream.addImage('library/slow', { layers: [layer] });
    await using running = await runMirror('stopped');
    await fetch(`http://127.0.0.1:${port}/v2/library/slow/manifests/latest`);
    const url = `http://127.0.0.1:${port}/v2/library/slow/blobs/${layer.digest}`;
    const client = new BlobClient(url, { content: layer, bytesPerSecond: 12 * 1024 * 1024 });
    await client.firstByte;
    await running.stop();
    expect(await client.done).toMatchObject({ received: layer.size, isTrue: true, isComplete: true });
    expect(await inspected('{{.State.ExitCode}}', 'stopped')).toEqual(['0']);
  });

  async function inspected(format: string, ...names: string[]): Promise<string[]> {
    return (await dockerd.docker('inspect', '--format', format, ...names)).trim().split('\n');
  }

  async function runMirror(name: string, variables: Readonly<Record<string, string>> = {}) {
    const env = {
      STILLWATER_CONFIG: '/etc/stillwater/config.json',
      STILLWATER_LISTEN__PORT: String(port),
      ...variables,
    };
    await dockerd.docker(
      ...['run', '--detach', '--name', name, '--network', 'host', '--read-only'],
      ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
      ...['--volume', 'stillwater:/cache', '--volume', `${dir.path}/config.json:${env.STILLWATER_CONFIG}:ro`],
      ...Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      image,
    );
    const stop = () => dockerd.docker('stop', '--time', '40', name);
    try {
      await until('it is ready', async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok);
    } catch (error) {
      throw new Error(`it did not start:\n${await dockerd.docker('logs', name)}`, { cause: error });
    }
    return { stop, [Symbol.asyncDispose]: async () => void (await stop()) };
  }
});
