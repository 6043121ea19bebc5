// A reload: what changes counts from the next request on, what runs is not touched, and what cannot be used changes nothing.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { loadConfig } from '../src/config/load.ts';
import { ask } from './http/start-registry.ts';
import { type FakeUpstream, startFakeUpstream } from './support/fake-upstream.ts';
import { Gate } from './support/gate.ts';
import { type TempDir, tempDir } from './support/temp-dir.ts';
import { until } from './support/until.ts';

const name = 'library/app';
let dir: TempDir;
let upstream: FakeUpstream;
let other: FakeUpstream;
let app: App;

beforeEach(async () => {
  dir = await tempDir('reload');
  upstream = await startFakeUpstream();
  other = await startFakeUpstream();
});

afterEach(async () => {
  await app.stop();
  await upstream[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await dir.remove();
});

function write(given: Readonly<Record<string, unknown>>): Promise<void> {
  const content = {
    listen: { host: '127.0.0.1', port: 0 },
    admin: { port: 0 },
    cache: { dir: join(dir.path, 'cache') },
    upstreams: { 'docker.io': { endpoints: [upstream.url] } },
    log: { level: 'silent' },
    ...given,
  };
  return writeFile(join(dir.path, 'config.json'), JSON.stringify(content));
}

async function start(given: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await write(given);
  const load = () => loadConfig({ file: join(dir.path, 'config.json'), env: {} });
  const { config } = load();
  app = await startApp(config, { load });
}

async function reload(given: Readonly<Record<string, unknown>> | string): Promise<void> {
  if (typeof given === 'string') await writeFile(join(dir.path, 'config.json'), given);
  else await write(given);
  await app.reload();
}

const toOther = () => ({ upstreams: { 'docker.io': { endpoints: [other.url] } } });

function pull(path = `/v2/${name}/manifests/latest`, headers = {}) {
  return ask(app.registryUrl, path, { headers });
}

describe('a reload', () => {
  test('sends the next miss to the new endpoints', async () => {
    const { digest } = other.addImage(name);
    await start();
    expect((await pull()).status).toBe(404);
    await reload(toOther());
    const { status, headers } = await pull();
    expect([status, headers['docker-content-digest']]).toEqual([200, digest]);
  });

  test('lets a pull that is in its middle finish with what it began with', async () => {
    const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100, gate } });
    await start();
    const running = pull(`/v2/${name}/blobs/${blob.digest}`);
    await gate.reached;
    await reload(toOther());
    gate.open();
    expect(await running).toMatchObject({ status: 200, isComplete: true });
    expect(other.requests).toEqual([]);
  });

  test('lets a broken transfer of before go on, at the endpoints of before', async () => {
    const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 100, gate }, resetAfter: 200 });
    await start();
    const running = pull(`/v2/${name}/blobs/${blob.digest}`);
    await gate.reached;
    await reload(toOther());
    gate.open();
    expect(await running).toMatchObject({ status: 200, isComplete: true });
    expect(upstream.requests.filter(({ method }) => method === 'GET').length).toBeGreaterThan(1);
    expect(other.requests).toEqual([]);
  });

  test('keeps what an upstream that did not change has learned', async () => {
    upstream.addImage(name);
    upstream.faults.add({}, { status: 429, headers: { 'retry-after': '60' } });
    await start();
    await pull();
    const asked = upstream.requests.length;
    await reload({ tags: { ttl: '1m' } });
    await pull();
    expect(upstream.requests.length).toBe(asked);
  });

  test('brings new rules into effect for what was answered from memory a moment ago', async () => {
    upstream.addImage(name);
    await start();
    for (let times = 0; times < 3; times++) expect((await pull()).status).toBe(200);
    await reload({
      access: { rules: [{ effect: 'deny', principals: ['*'], repositories: ['docker.io/library/**'] }] },
    });
    expect((await pull()).status).toBe(404);
    await reload({});
    expect((await pull()).status).toBe(200);
  });

  test('believes tags as long as the new file says, those too that were recorded before', async () => {
    upstream.addImage(name);
    await start();
    await pull();
    expect((await pull()).headers['cache-status']).toBe('stillwater; hit');
    await reload({ tags: { ttl: 0 } });
    expect((await pull()).headers['cache-status']).toContain('fwd=stale');
  });

  test('brings the cache under a smaller budget', async () => {
    const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
    await start();
    await pull(`/v2/${name}/blobs/${blob.digest}`);
    await reload({ cache: { dir: join(dir.path, 'cache'), maxSize: 100 } });
    await until('the blob is gone', async () =>
      (await ask(app.adminUrl ?? '', '/metrics')).body.toString().includes('stillwater_cache_blobs 0'),
    );
  });

  test('changes the token of the admin listener', async () => {
    await start({ admin: { port: 0, token: 'one' } });
    const asUpstreams = (token: string) =>
      ask(app.adminUrl ?? '', '/api/v1/upstreams', { headers: { authorization: `Bearer ${token}` } });
    expect((await asUpstreams('one')).status).toBe(200);
    await reload({ admin: { port: 0, token: 'two' } });
    expect([(await asUpstreams('one')).status, (await asUpstreams('two')).status]).toEqual([401, 200]);
  });
});

describe('a reload changes nothing', () => {
  test.each([
    ['is not JSON', '{'],
    ['has an unknown key', '{"upsteams": {}}'],
  ])('when the file %s', async (_what, text) => {
    upstream.addImage(name);
    await start();
    await reload(text);
    expect((await pull()).status).toBe(200);
  });

  test('when the file is gone or what it names cannot be read', async () => {
    upstream.addImage(name);
    await start();
    const caFile = join(dir.path, 'missing.pem');
    await reload({ tags: { ttl: 0 }, upstreams: { 'docker.io': { endpoints: [upstream.url], caFile } } });
    await pull();
    expect((await pull()).headers['cache-status']).toBe('stillwater; hit');
    await rm(join(dir.path, 'config.json'));
    await app.reload();
    expect((await pull()).status).toBe(200);
  });

  test('of what needs a restart', async () => {
    upstream.addImage(name);
    await start();
    await reload({ listen: { host: '127.0.0.1', port: 1 }, tags: { ttl: 0 } });
    await pull();
    expect((await pull()).headers['cache-status']).toContain('fwd=stale');
  });
});
