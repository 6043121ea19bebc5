// A reload: what changes counts from the next request on, what runs is not touched, and what cannot be used changes nothing.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from '@node-rs/bcrypt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { loadConfig } from '../src/config/load.ts';
import { writeAppConfig } from './app-config.ts';
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
  return writeAppConfig(dir.path, upstream.url, given);
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

describe('what was known before a reload', () => {
  const asAlice = { authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` };
  const wanted = (more = {}) => ({
    access: {
      anonymous: 'none',
      htpasswdFile: join(dir.path, 'users'),
      rules: [{ effect: 'allow', principals: ['alice'], repositories: ['**'] }],
      ...more,
    },
  });
  const otherAccess = { networks: [{ cidr: '192.0.2.0/24', principal: 'somebody' }] };

  test('is a token that was issued, which is worth as much as the user still is', async () => {
    upstream.addImage(name);
    await writeFile(join(dir.path, 'users'), `alice:${await hash('secret', 4)}\n`);
    await start(wanted());
    const { token } = JSON.parse((await pull('/token', asAlice)).body.toString()) as { token: string };
    const shown = { authorization: `Bearer ${token}` };
    await reload(wanted(otherAccess));
    expect((await pull(undefined, shown)).status).toBe(200);
    await writeFile(join(dir.path, 'users'), `bob:${await hash('secret', 4)}\n`);
    await reload(wanted());
    expect([(await pull(undefined, asAlice)).status, (await pull(undefined, shown)).status]).toEqual([401, 401]);
  });

  test('is not brought back by a file of before that changes later', async () => {
    upstream.addImage(name);
    await writeFile(join(dir.path, 'users'), `alice:${await hash('secret', 4)}\n`);
    await start(wanted());
    await writeFile(join(dir.path, 'others'), '');
    await reload(wanted({ htpasswdFile: join(dir.path, 'others') }));
    await writeFile(join(dir.path, 'users'), `alice:${await hash('secret', 4)}\nbob:${await hash('b', 4)}\n`);
    // Both files are looked at once a second: this one shows that the other was, too.
    await writeFile(join(dir.path, 'others'), `carol:${await hash('secret', 4)}\n`);
    const asCarol = { authorization: `Basic ${Buffer.from('carol:secret').toString('base64')}` };
    await until('the users are read again', async () => (await pull('/v2/', asCarol)).status === 200);
    expect((await pull(undefined, asAlice)).status).toBe(401);
  });

  test('is what an unlisted registry has just said', async () => {
    const settings = { upstreams: { '*': {}, 'docker.io': { endpoints: [upstream.url] } } };
    await start(settings);
    const opened = async () => {
      const { upstreams } = JSON.parse((await ask(app.adminUrl ?? '', '/api/v1/upstreams')).body.toString());
      return (upstreams as { name: string }[]).map((each) => each.name);
    };
    await pull('/v2/owner/app/manifests/latest?ns=registry.invalid-name.org');
    expect(await opened()).toContain('registry.invalid-name.org');
    await reload({ ...settings, tags: { ttl: '1m' } });
    expect(await opened()).toContain('registry.invalid-name.org');
    await reload({ upstreams: { ...settings.upstreams, '*': { connections: 3 } } });
    expect(await opened()).not.toContain('registry.invalid-name.org');
  });
});

test('a reload brings another schedule into effect', async () => {
  await start();
  const schedule = async () =>
    JSON.parse((await ask(app.adminUrl ?? '', '/api/v1/status')).body.toString()).schedule as unknown[];
  await reload({ prefetch: { schedule: [{ cron: '0 3 * * *', images: ['app'] }] } });
  await until('the status is a new one', async () => (await schedule()).length === 1);
});

test('a change between the load and the start is not missed', async () => {
  upstream.addImage(name);
  other.addImage(name);
  await write({});
  const file = join(dir.path, 'config.json');
  const load = () => loadConfig({ file, env: {} });
  const { config } = load();
  await write(toOther());
  app = await startApp(config, { load, file });
  await pull();
  expect([upstream.requests.length, other.requests.length > 0]).toEqual([0, true]);
});

test('no reload begins while the mirror drains', async () => {
  const blob = upstream.addBlob(name, 'a layer '.repeat(1000));
  const gate = new Gate();
  upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100, gate } });
  await start();
  const { adminUrl = '' } = app;
  const running = pull(`/v2/${name}/blobs/${blob.digest}`);
  await gate.reached;
  const stopped = app.stop();
  const { status, body } = await ask(adminUrl, '/api/v1/reload', { method: 'POST' });
  expect([status, JSON.parse(body.toString())]).toEqual([422, { error: 'the mirror is stopping' }]);
  gate.open();
  expect((await running).isComplete).toBe(true);
  await stopped;
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
