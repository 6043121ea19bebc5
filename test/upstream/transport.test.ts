// One request to an upstream: what is sent, how it can fail, and how much of an answer is read.
import { describe, expect, test } from 'vitest';
import { AddressGuard } from '../../src/upstream/address-guard.ts';
import { freePort } from '../support/free-port.ts';
import { Gate } from '../support/gate.ts';
import { get, openTransport, startServer, upstreamError } from './upstream-scene.ts';

const registry = { name: 'registry.test', endpoint: new URL('http://registry.example'), allowPrivate: undefined };

describe('a request', () => {
  test('asks for the bytes as they are, under our own name, and nothing else', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    await scene.transport.send(get(`${server.url}/x?y=z`, { headers: { range: 'bytes=0-0' } }));
    expect(server.requests[0]).toMatchObject({ method: 'GET', path: '/x?y=z' });
    const { host, connection, ...headers } = server.requests[0]?.headers ?? {};
    expect(headers).toEqual({ 'user-agent': 'stillwater', 'accept-encoding': 'identity', range: 'bytes=0-0' });
    expect(host).toBe(server.host);
    expect(connection).toBe('keep-alive');
  });

  test('gives back whatever status comes, its headers and its body', async () => {
    await using server = await startServer({ status: 418, body: 'short and stout', headers: { 'x-pot': 'tea' } });
    await using scene = openTransport();
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect(response.status).toBe(418);
    expect(response.header('x-pot')).toBe('tea');
    expect(response.header('x-cup')).toBeUndefined();
    const pieces = [];
    for await (const piece of response.body) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('short and stout');
  });

  test('may be a form, which is sent as it is', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'a b&c' }).toString();
    await scene.transport.send(get(`${server.url}/token`, { kind: 'token', method: 'POST', body }));
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) },
    });
  });

  test('is counted with its status and its bytes, and as an error when no answer came', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    server.faults.add({ path: '/gone' }, { hangUp: true });
    await (await scene.transport.send(get(`${server.url}/x`))).bytes(100);
    await upstreamError(scene.transport.send(get(`${server.url}/gone`, { kind: 'token' })));
    const text = await scene.metrics.registry.metrics();
    const requests = 'stillwater_upstream_requests_total{upstream="registry.test",';
    expect(text).toContain(`${requests}kind="blob",status="200"} 1`);
    expect(text).toContain(`${requests}kind="token",status="error"} 1`);
    expect(text).toContain('stillwater_upstream_bytes_total{upstream="registry.test"} 5');
  });
});

test('requests and bytes are counted under the label', async () => {
  await using server = await startServer();
  await using scene = openTransport({ label: '*' });
  await (await scene.transport.send(get(`${server.url}/x`))).bytes(100);
  const text = await scene.metrics.registry.metrics();
  expect(text).toContain('stillwater_upstream_requests_total{upstream="*",kind="blob",status="200"} 1');
  expect(text).toContain('stillwater_upstream_bytes_total{upstream="*"} 5');
});

describe('an upstream that fails', () => {
  test.each([
    ['ENOTFOUND', 'the DNS does not know its name'],
    ['ENODATA', 'the DNS has no address for its name'],
    ['ETIMEOUT', 'the DNS did not answer in time'],
    ['ESERVFAIL', 'the DNS could not find out its address'],
    ['EREFUSED', 'the DNS does not answer us'],
    ['EBADNAME', 'its name is none'],
  ])('is unreachable when the DNS has nothing for it, and the message says why: %s', async (code, why) => {
    const unknown = Object.assign(new Error('query'), { code });
    const guard = new AddressGuard(registry, () => Promise.reject(unknown));
    await using scene = openTransport({ guard });
    expect(await upstreamError(scene.transport.send(get('http://registry.example/x')))).toMatchObject({
      failure: 'unreachable',
      message: `upstream registry.test could not be reached: registry.example: ${why} (${code})`,
    });
  });

  test('has timed out when its DNS does not answer within the time for a connection', async () => {
    const guard = new AddressGuard(registry, () => new Promise(() => {}));
    await using scene = openTransport({ guard, connectTimeoutMs: 100 });
    expect((await upstreamError(scene.transport.send(get('http://registry.example/x')))).failure).toBe('timeout');
  });

  test('has timed out when a blob only drips', async () => {
    await using server = await startServer({ body: Buffer.alloc(1000), bytesPerSecond: 100 });
    await using scene = openTransport({ idleTimeoutMs: 100 });
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect(await upstreamError(response.bytes(1000))).toMatchObject({
      failure: 'timeout',
      message: expect.stringMatching(/did not answer in time: 127\.0\.0\.1:\d+: \d+ bytes in \d+ s$/),
    });
    await server.close();
    expect(server.requests[0]?.isComplete).toBe(false);
  });

  test('is unreachable when it refuses the connection', async () => {
    await using scene = openTransport();
    const port = await freePort();
    expect(await upstreamError(scene.transport.send(get(`http://127.0.0.1:${port}/x`)))).toMatchObject({
      failure: 'unreachable',
      message: `upstream registry.test could not be reached: 127.0.0.1:${port}: ECONNREFUSED`,
      cause: expect.any(Error),
    });
  });

  test('is unreachable when it hangs up before an answer', async () => {
    await using server = await startServer({ hangUp: true });
    await using scene = openTransport();
    expect((await upstreamError(scene.transport.send(get(`${server.url}/x`)))).failure).toBe('unreachable');
  });

  test.each(['dropAfter', 'resetAfter'] as const)('is unreachable when its body ends early: %s', async (fault) => {
    await using server = await startServer({ [fault]: 3 });
    await using scene = openTransport();
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect((await upstreamError(response.bytes(100))).failure).toBe('unreachable');
  });

  test('has timed out when no headers come', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdHeaders: gate });
    await using scene = openTransport({ headersTimeoutMs: 200 });
    const error = await upstreamError(scene.transport.send(get(`${server.url}/x`)));
    expect(error).toMatchObject({ failure: 'timeout', message: expect.stringContaining('UND_ERR_HEADERS_TIMEOUT') });
    gate.open();
  });

  test('has timed out when its body stands still', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdBody: { after: 3, gate } });
    await using scene = openTransport({ idleTimeoutMs: 200 });
    const response = await scene.transport.send(get(`${server.url}/x`));
    const error = await upstreamError(response.bytes(100));
    expect(error).toMatchObject({ failure: 'timeout', message: expect.stringContaining('UND_ERR_BODY_TIMEOUT') });
    gate.open();
  });

  test('has timed out when the time we gave it is over, and the message says so in words', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdHeaders: gate });
    await using scene = openTransport();
    const error = await upstreamError(
      scene.transport.send(get(`${server.url}/x`, { signal: AbortSignal.timeout(50) })),
    );
    expect(error.failure).toBe('timeout');
    expect(error.message).toMatch(/did not answer in time: 127\.0\.0\.1:\d+: .*[a-z]{3}/);
    gate.open();
  });

  test('is unreachable with headers beyond all measure', async () => {
    await using server = await startServer({ headers: { 'x-large': 'x'.repeat(40 * 1024) } });
    await using scene = openTransport();
    expect((await upstreamError(scene.transport.send(get(`${server.url}/x`)))).failure).toBe('unreachable');
  });
});

describe('an answer that is read whole', () => {
  test('may be as long as its limit', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    expect(await (await scene.transport.send(get(`${server.url}/x`))).bytes(5)).toEqual(Buffer.from('hello'));
  });

  test('is refused one byte above', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect(await upstreamError(response.bytes(4))).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('more than 4 bytes'),
    });
  });

  test('is not read on beyond its limit, and the connection is cut', async () => {
    await using server = await startServer({ endless: true });
    await using scene = openTransport();
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect((await upstreamError(response.bytes(64 * 1024))).failure).toBe('protocol');
    expect(await scene.metrics.upstreamBytes.get()).toMatchObject({
      values: [{ value: expect.toSatisfy((bytes) => bytes < 1024 * 1024) }],
    });
    await server.close();
    expect(server.requests[0]?.isComplete).toBe(false);
  });
});

describe('an answer that nobody reads', () => {
  test('gives its connection to the next request when it is short', async () => {
    await using server = await startServer();
    await using scene = openTransport({ connections: 1 });
    for (let round = 0; round < 20; round++) {
      const response = await scene.transport.send(get(`${server.url}/x`));
      response.discard();
    }
    expect(await (await scene.transport.send(get(`${server.url}/x`))).bytes(5)).toHaveLength(5);
  });

  test('is cut when it is long, so that the next request need not wait for its end', async () => {
    await using server = await startServer();
    await using scene = openTransport({ connections: 1 });
    server.faults.add({ path: '/long' }, { endless: true });
    (await scene.transport.send(get(`${server.url}/long`))).discard();
    expect(await (await scene.transport.send(get(`${server.url}/x`))).bytes(5)).toHaveLength(5);
  });

  test('is cut when it drips on: its connection is not kept for ever', async () => {
    await using server = await startServer();
    await using scene = openTransport({ connections: 1 });
    server.faults.add({ path: '/drip' }, { body: Buffer.alloc(1000), bytesPerSecond: 10 });
    (await scene.transport.send(get(`${server.url}/drip`))).discard();
    const signal = AbortSignal.timeout(4000);
    expect(await (await scene.transport.send(get(`${server.url}/x`, { signal }))).bytes(5)).toHaveLength(5);
  });

  test('may be discarded and aborted without an error that nobody hears', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdBody: { after: 2, gate } });
    await using scene = openTransport();
    for (const discards of [0, 1, 2]) {
      const controller = new AbortController();
      const response = await scene.transport.send(get(`${server.url}/x`, { signal: controller.signal }));
      for (let count = 0; count < discards; count++) response.discard();
      controller.abort(new Error('nobody waits'));
    }
    await server.close();
    gate.open();
  });
});

describe('an abort of our own', () => {
  test.each(['headers', 'body'] as const)('while the %s is awaited is not the upstream’s failure', async (part) => {
    const gate = new Gate();
    const held = part === 'headers' ? { holdHeaders: gate } : { holdBody: { after: 2, gate } };
    await using server = await startServer(held);
    await using scene = openTransport();
    const controller = new AbortController();
    const reason = new Error('the mirror stops');
    const sending = scene.transport.send(get(`${server.url}/x`, { signal: controller.signal }));
    const reading = sending.then((response) => response.bytes(100));
    await gate.reached;
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    gate.open();
  });

  test('while the request queues for a connection is heard at once', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdHeaders: gate });
    await using scene = openTransport({ connections: 1 });
    const first = scene.transport.send(get(`${server.url}/first`));
    first.catch(() => {});
    await gate.reached;
    const controller = new AbortController();
    const queued = scene.transport.send(get(`${server.url}/queued`, { signal: controller.signal }));
    const limited = scene.transport.send(get(`${server.url}/limited`, { signal: AbortSignal.timeout(100) }));
    const settled = Promise.allSettled([queued, limited]).then((results) => results.map(({ status }) => status));
    controller.abort(new Error('the mirror stops'));
    const opened = new Promise((resolve) => AbortSignal.timeout(1000).addEventListener('abort', resolve));
    expect(await Promise.race([settled, opened.then(() => 'still queued')])).toEqual(['rejected', 'rejected']);
    await expect(queued).rejects.toThrow('the mirror stops');
    expect((await upstreamError(limited)).failure).toBe('timeout');
    gate.open();
    expect(await (await first).bytes(100)).toHaveLength(5);
    expect(server.requests.map(({ path }) => path)).toEqual(['/first']);
  });

  test('before the request sends nothing', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(scene.transport.send(get(`${server.url}/x`, { signal }))).rejects.toThrow('too late');
    expect(server.requests).toEqual([]);
  });

  test('by closing the transport ends what is under way', async () => {
    const gate = new Gate();
    await using server = await startServer({ holdHeaders: gate });
    const { transport } = openTransport();
    const sending = upstreamError(transport.send(get(`${server.url}/x`)));
    await gate.reached;
    await transport.close();
    expect((await sending).failure).toBe('unreachable');
    gate.open();
  });
});
