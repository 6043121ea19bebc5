// A real nginx before the mirror, as examples/nginx has it: what it sends itself, what goes through, and who is who.
import { chmod, mkdir } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { basic } from '../support/fake-token-server.ts';
import { Gate } from '../support/gate.ts';
import { type Answer, alice, NginxScene } from '../support/nginx-scene.ts';
import type { ServedContent } from '../support/served-content.ts';
import { tempDir } from '../support/temp-dir.ts';
import { requireTools } from '../support/tool.ts';
import { until } from '../support/until.ts';

describe.skipIf(!requireTools('nginx', 'openssl'))('nginx in front', { timeout: 60_000 }, () => {
  let at: NginxScene;
  let layer: ServedContent;
  let path: string;
  let bytes: Buffer;
  let seed = 900;

  beforeAll(async () => {
    at = await NginxScene.start();
  });
  afterAll(() => at?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    seed += 1;
    layer = await at.upstream.addGeneratedBlob('acme/open', { size: 300_000, seed });
    bytes = Buffer.concat([...layer.read(0, layer.size)]);
    path = `/v2/acme/open/blobs/${layer.digest}`;
  });
  afterEach(() => at.upstream.faults.clear());

  /** Until then what was pulled counts as arriving. */
  const stored = (place: string, headers = {}) =>
    until('the blob is stored', async () => {
      const { headers: told } = await at.askDirectly(place, { method: 'HEAD', headers });
      return told['cache-status'] === 'stillwater; hit';
    });

  /** Pulls it into the cache by nginx; returns what the pull was answered. */
  async function pulled(): Promise<Answer> {
    const answer = await at.ask(path);
    await stored(path);
    return answer;
  }

  /** What says something about the content; nginx and node write what is of the connection each in their own way. */
  function meaningOf({ headers }: Answer) {
    const { date: _, connection: _connection, 'keep-alive': _keepAlive, server: _server, ...meaning } = headers;
    return meaning;
  }

  test('sends a cold blob as the mirror brings it, and the same blob itself once it is stored', async () => {
    const miss = await pulled();
    expect(miss).toMatchObject({ status: 200, isComplete: true });
    expect(bytes.equals(miss.body)).toBe(true);
    expect(miss.headers['cache-status']).toContain('fwd=uri-miss');
    const before = await at.servedBytes;
    expect(before).toBeGreaterThanOrEqual(layer.size);

    const hit = await at.ask(path);
    expect(hit).toMatchObject({ status: 200, isComplete: true });
    expect(bytes.equals(hit.body)).toBe(true);
    expect(await at.servedBytes).toBe(before);
    const [, line] = await at.lines(path, 2);
    expect(line).toMatchObject({ status: 200, outcome: 'hit', complete: true });
    expect(line?.bytes).toBe(0);
  });

  test('tells of a blob that it sends what the mirror itself would, and no more', async () => {
    await pulled();
    for (const headers of [{}, { range: 'bytes=5-9' }] as const) {
      const own = await at.askDirectly(path, { from: '127.0.0.2', headers });
      const sent = await at.ask(path, { headers });
      expect(own.headers).toMatchObject({
        'docker-content-digest': layer.digest,
        'docker-distribution-api-version': 'registry/2.0',
        etag: `"${layer.digest}"`,
        'cache-status': 'stillwater; hit',
        'oci-namespace': 'docker.io',
        'content-type': 'application/octet-stream',
      });
      // To a part nginx does not add that there could have been others.
      const { 'accept-ranges': ranges, ...meaning } = meaningOf(own);
      expect(meaningOf(sent)).toEqual(sent.status === 206 ? meaning : { ...meaning, 'accept-ranges': ranges });
      expect(sent.status).toBe(own.status);
    }
  });

  test.each([
    ['bytes=5-9', 206, [5, 10]],
    ['bytes=299990-', 206, [299_990, 300_000]],
    ['bytes=-7', 206, [299_993, 300_000]],
    ['bytes=0-', 206, [0, 300_000]],
    ['bytes=-999999999', 206, [0, 300_000]],
    ['bytes=299999-99999999999999999999999', 206, [299_999, 300_000]],
    ['bytes=300000-', 416, [0, 0]],
    ['bytes=0-1,5-6', 200, [0, 300_000]],
    ['bytes=9-5', 200, [0, 300_000]],
    ['bytes=a-b', 200, [0, 300_000]],
    ['lines=1-2', 200, [0, 300_000]],
  ] as const)('answers the range %s as the mirror does: %d', async (range, status, [start, end]) => {
    await pulled();
    const sent = await at.ask(path, { headers: { range } });
    const own = await at.askDirectly(path, { from: '127.0.0.2', headers: { range } });
    expect(sent).toMatchObject({ status, isComplete: true });
    expect(bytes.subarray(start, end).equals(sent.body)).toBe(true);
    expect({ ...own, headers: own.headers['content-range'], port: 0 }).toEqual({
      ...sent,
      headers: sent.headers['content-range'],
      port: 0,
    });
  });

  test('answers HEAD as GET, and 304 to who has it', async () => {
    await pulled();
    const get = await at.ask(path);
    const head = await at.ask(path, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, isComplete: true });
    expect(head.body.length).toBe(0);
    expect(meaningOf(head)).toEqual(meaningOf(get));
    const known = await at.ask(path, { headers: { 'if-none-match': `"${layer.digest}"` } });
    expect([known.status, known.body.length, known.headers.etag]).toEqual([304, 0, `"${layer.digest}"`]);
    const others = { 'if-match': '"x"', 'if-modified-since': new Date().toUTCString() };
    for (const [condition, value] of Object.entries(others))
      expect((await at.ask(path, { headers: { [condition]: value } })).status).toBe(200);
  });

  test('keeps the connection, whoever sends', async () => {
    await pulled();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const ports: unknown[] = [];
      for (const each of [path, '/v2/', path, path]) ports.push((await at.ask(each, { agent })).port);
      expect(new Set(ports).size).toBe(1);
    } finally {
      agent.destroy();
    }
  });

  test('knows each client by its own address, and says so to the mirror', async () => {
    await pulled();
    await at.ask(path, { from: '127.0.0.3', headers: { 'x-forwarded-for': '10.9.9.9' } });
    const [, line] = await at.lines(path, 2);
    expect(line?.remote).toBe('127.0.0.3');
  });

  test('is the only one that is told where the file is', async () => {
    await pulled();
    const forged = { 'x-forwarded-for': '10.9.9.9' };
    const answers = [
      await at.ask(path),
      await at.ask(path, { headers: { 'x-stillwater-accel': 'off' } }),
      await at.askDirectly(path, { from: '127.0.0.2', headers: forged }),
      await at.askDirectly(path, { from: '127.0.0.1' }),
    ];
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, isComplete: true });
      expect(bytes.equals(answer.body)).toBe(true);
      expect(JSON.stringify(answer.headers)).not.toMatch(/accel|stillwater-blobs/i);
    }
    const told = await at.askDirectly(path, { from: '127.0.0.1', headers: forged });
    expect(told.headers['x-accel-redirect']).toMatch(/^\/stillwater-blobs\/sha256\/[0-9a-f]{2}\/[0-9a-f]{64}$/);
    expect(told.body.length).toBe(0);
  });

  test('gives no file to who asks for its place', async () => {
    await pulled();
    const hex = layer.digest.slice(7);
    const answer = await at.ask(`/stillwater-blobs/sha256/${hex.slice(0, 2)}/${hex}`);
    expect(answer.status).toBe(404);
  });

  test('lets a client choose nothing: not even one that says "off" makes the mirror send', async () => {
    await pulled();
    const before = await at.servedBytes;
    await at.ask(path, { headers: { 'x-stillwater-accel': 'off' } });
    expect(await at.servedBytes).toBe(before);
  });

  test('has the mirror send what it does not find, or may not read', async () => {
    await pulled();
    await using dir = await tempDir('no-blobs');
    await chmod(dir.path, 0o711);
    const [empty, closed] = [join(dir.path, 'empty'), join(dir.path, 'closed')];
    await mkdir(empty);
    await mkdir(closed);
    await chmod(closed, 0);
    for (const folder of [empty, closed]) {
      await using nginx = await at.nginxWith(folder);
      const before = await at.servedBytes;
      const whole = await at.ask(path, {}, nginx);
      expect(whole).toMatchObject({ status: 200, isComplete: true });
      expect(bytes.equals(whole.body)).toBe(true);
      const part = await at.ask(path, { from: '127.0.0.4', headers: { range: 'bytes=5-9' } }, nginx);
      expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 5-9/${layer.size}`]);
      expect(bytes.subarray(5, 10).equals(part.body)).toBe(true);
      expect(part.headers['accept-ranges']).toBe('bytes');
      expect(await at.servedBytes).toBe(before + layer.size + 5);
    }
    expect((await at.lines(path, 9)).at(-1)?.remote).toBe('127.0.0.4');
  });

  test('brings a blob that is arriving from its first byte on', async () => {
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob', path: layer.digest }, { holdBody: { after: 1000, gate } });
    let received = 0;
    const answer = at.ask(path, { onData: (count) => (received += count) });
    await until('the first bytes', () => received === 1000);
    expect(gate.isOpen).toBe(false);
    gate.open();
    expect(bytes.equals((await answer).body)).toBe(true);
  });

  test('gives a private image to who shows a password, and 404 to a stranger', async () => {
    const secret = await at.upstream.addGeneratedBlob('acme/app', { size: 200_000, seed: 10_000 });
    const place = `/v2/acme/app/blobs/${secret.digest}`;
    const authorization = basic(alice.username, alice.password);
    await at.ask(place, { headers: { authorization } });
    await stored(place, { authorization });
    const before = await at.servedBytes;
    const hers = await at.ask(place, { headers: { authorization } });
    expect(hers).toMatchObject({ status: 200, isComplete: true });
    expect(hers.body.equals(Buffer.concat([...secret.read(0, secret.size)]))).toBe(true);
    expect(await at.servedBytes).toBe(before);
    const theirs = await at.ask(place);
    expect(theirs.status).toBe(404);
    expect(theirs.body.toString()).not.toContain(secret.digest.slice(7));
    expect((await at.lines(place, 3)).map(({ principal }) => principal)).toEqual(['alice', 'alice', undefined]);
  });

  test.skipIf(!requireTools('skopeo'))('is pulled from by skopeo over https, cold and from the cache', async () => {
    const { config, layers } = at.upstream.addImage('acme/open', { tag: 'whole', layers: [layer, 'a second layer'] });
    await using dir = await tempDir('skopeo');
    const image = `docker://${at.nginx.host}/docker.io/acme/open:whole`;
    const copy = (to: string) =>
      run('skopeo', [
        '--insecure-policy',
        'copy',
        '--src-cert-dir',
        at.nginx.certsDir,
        image,
        `dir:${join(dir.path, to)}`,
      ]);
    await copy('cold');
    for (const { digest } of [config, ...layers]) await stored(`/v2/acme/open/blobs/${digest}`);
    const before = await at.servedBytes;
    await copy('warm');
    expect((await at.servedBytes) - before).toBeLessThan(10_000);
  });
});

describe.skipIf(!requireTools('nginx', 'openssl', 'skopeo'))('a mirror that asks for credentials behind nginx', () => {
  test('sends clients to its own token endpoint under the address of nginx, and skopeo pulls by it', async () => {
    await using at = await NginxScene.start('none');
    const { layers } = at.upstream.addImage('acme/app', { layers: ['a layer of hers'] });
    const stranger = await at.ask('/v2/', { headers: { 'x-forwarded-host': 'elsewhere.example' } });
    expect(stranger.status).toBe(401);
    expect(stranger.headers['www-authenticate']).toContain(`realm="https://${at.nginx.host}/token"`);
    await using dir = await tempDir('skopeo');
    const login = ['--src-creds', `${alice.username}:${alice.password}`, '--src-cert-dir', at.nginx.certsDir];
    const image = `docker://${at.nginx.host}/docker.io/acme/app:latest`;
    await run('skopeo', ['--insecure-policy', 'copy', ...login, image, `dir:${dir.path}`]);
    const [line] = await at.lines(`/v2/docker.io/acme/app/blobs/${layers[0]?.digest}`, 1);
    expect(line?.principal).toBe('alice');
  });
});
