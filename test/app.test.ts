// The whole program as its command starts it: both doors open, one process a directory, and an orderly stop.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { loadConfig } from '../src/config/load.ts';
import { writeAppConfig } from './app-config.ts';
import { ask } from './http/start-registry.ts';
import { BlobClient } from './support/blob-client.ts';
import { type FakeUpstream, startFakeUpstream } from './support/fake-upstream.ts';
import { freePort } from './support/free-port.ts';
import { Gate } from './support/gate.ts';
import { type TempDir, tempDir } from './support/temp-dir.ts';

const name = 'library/app';
let dir: TempDir;
let upstream: FakeUpstream;
let running: App[];

beforeEach(async () => {
  dir = await tempDir('app');
  upstream = await startFakeUpstream();
  running = [];
});

afterEach(async () => {
  for (const app of running) await app.stop();
  await upstream[Symbol.asyncDispose]();
  await dir.remove();
});

/** Loads the configuration as the command does, from a file, and starts by it. */
async function start(given: Readonly<Record<string, unknown>> = {}): Promise<App> {
  await writeAppConfig(dir.path, upstream.url, given);
  const load = () => loadConfig({ cwd: dir.path, env: {} });
  const { config } = load();
  const app = await startApp(config, { load });
  running.push(app);
  return app;
}

describe('a started mirror', () => {
  test('answers pulls, probes and metrics', async () => {
    const { digest } = upstream.addImage(name);
    const app = await start();
    const admin = app.adminUrl ?? '';
    expect(await ask(app.registryUrl, `/v2/${name}/manifests/latest`)).toMatchObject({ status: 200, isComplete: true });
    expect((await ask(admin, '/livez')).status).toBe(200);
    expect((await ask(admin, '/readyz')).body.toString()).toBe('ready\n');
    const metrics = (await ask(admin, '/metrics')).body.toString();
    expect(metrics).toContain(
      'stillwater_requests_total{kind="manifest",outcome="miss",upstream="docker.io",status="200"} 1',
    );
    expect(metrics).toContain('stillwater_cache_blobs 1\n');
    expect(digest).toMatch(/^sha256:/);
  });

  test('has no admin listener when there is to be none', async () => {
    const app = await start({ admin: null });
    expect(app.adminUrl).toBeUndefined();
    expect((await ask(app.registryUrl, '/v2/')).status).toBe(200);
  });

  test('is not ready once its directory is gone', async () => {
    const app = await start();
    await rm(join(dir.path, 'cache'), { recursive: true });
    const { status, body } = await ask(app.adminUrl ?? '', '/readyz');
    expect([status, body.toString()]).toEqual([503, expect.stringMatching(/^cache: ENOENT/)]);
  });

  test('keeps what it pulled over a restart, with the upstream away', async () => {
    const { digest, config, layers } = upstream.addImage(name);
    const path = `/v2/${name}/manifests/latest`;
    const first = await start();
    const before = await ask(first.registryUrl, path);
    for (const blob of [config, ...layers]) await ask(first.registryUrl, `/v2/${name}/blobs/${blob.digest}`);
    await first.stop();
    await upstream.close();
    const after = await ask((await start()).registryUrl, path);
    expect(after.headers).toMatchObject({ 'docker-content-digest': digest, 'cache-status': 'stillwater; hit' });
    expect(after.body.equals(before.body)).toBe(true);
  });
});

describe('a start that fails says so, and leaves nothing open:', () => {
  test('another mirror runs on the directory', async () => {
    await start();
    await expect(start()).rejects.toThrow(
      `cache.dir is in use: ${join(dir.path, 'cache')}: another Stillwater runs on it; stop that one or choose another folder`,
    );
  });

  test('the directory is below a file', async () => {
    await writeFile(join(dir.path, 'file'), '');
    const cache = { dir: join(dir.path, 'file', 'cache') };
    await expect(start({ cache })).rejects.toThrow(
      `cache.dir cannot be written: ${cache.dir}: ENOTDIR; choose another`,
    );
  });

  test('the directory is of a newer version', async () => {
    await mkdir(join(dir.path, 'cache', 'v2'), { recursive: true });
    await expect(start()).rejects.toThrow('cache.dir was written by a newer Stillwater');
  });

  test('the port is in use', async () => {
    const port = await freePort();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve));
    await expect(start({ listen: { host: '127.0.0.1', port } })).rejects.toThrow(
      `port ${port}: another program uses it`,
    );
    await new Promise((resolve) => blocker.close(resolve));
    expect((await ask((await start()).registryUrl, '/v2/')).status).toBe(200);
  });

  test('the port of the admin listener is in use', async () => {
    const blocker = createServer();
    const [port, registryPort] = [await freePort(), await freePort()];
    await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve));
    const listen = { host: '127.0.0.1', port: registryPort };
    await expect(start({ listen, admin: { port } })).rejects.toThrow(`port ${port}: another program uses it`);
    await new Promise((resolve) => blocker.close(resolve));
    // Neither the directory nor the other port is held by the start that failed.
    expect((await ask((await start({ listen })).registryUrl, '/v2/')).status).toBe(200);
  });

  test.each([['certFile', { certFile: 'missing.pem', keyFile: 'missing.pem' }, 'listen.tls.certFile cannot be read']])(
    '%s cannot be read',
    async (_what, tls, message) => {
      await expect(start({ listen: { host: '127.0.0.1', port: 0, tls } })).rejects.toThrow(message);
    },
  );

  test('the authority of an upstream cannot be read', async () => {
    const upstreams = { 'docker.io': { endpoints: [upstream.url], caFile: join(dir.path, 'missing.pem') } };
    await expect(start({ upstreams })).rejects.toThrow(
      /^upstreams\.docker\.io\.caFile cannot be read: .*ENOENT; name a/,
    );
  });
});

describe('a stop', () => {
  test('is the same however often it is asked for', async () => {
    const app = await start();
    await Promise.all([app.stop(), app.stop()]);
    await app.stop();
    await expect(ask(app.registryUrl, '/v2/')).rejects.toThrow('ECONNREFUSED');
    await expect(ask(app.adminUrl ?? '', '/livez')).rejects.toThrow('ECONNREFUSED');
  });

  test('lets a running answer finish, says that it is not ready meanwhile, and frees the directory', async () => {
    const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100, gate } });
    const app = await start();
    const pull = ask(app.registryUrl, `/v2/${name}/blobs/${blob.digest}`);
    await gate.reached;
    const stopped = app.stop();
    const { status, body } = await ask(app.adminUrl ?? '', '/readyz');
    expect([status, body.toString()]).toEqual([503, 'shutdown: the mirror is stopping\n']);
    gate.open();
    expect(await pull).toMatchObject({ status: 200, isComplete: true });
    await stopped;
    expect((await ask((await start()).registryUrl, `/v2/${name}/blobs/${blob.digest}`)).headers['cache-status']).toBe(
      'stillwater; hit',
    );
  });

  test('ends a transfer whose client has left, and leaves what arrived to the next start', async () => {
    const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100, gate } });
    const app = await start();
    const client = new BlobClient(`${app.registryUrl}/v2/${name}/blobs/${blob.digest}`, { content: blob });
    await client.firstByte;
    client.hangUp();
    await app.stop();
    const spool = blob.digest.replace(':', '-');
    expect((await readdir(join(dir.path, 'cache', 'v1', 'spools'))).sort()).toEqual([spool, `${spool}.journal`]);
    expect(gate.isOpen).toBe(false);
    gate.open();
  });
});
