// TLS to an upstream: whom we trust, and that nothing leads out of it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AddressGuard } from '../../src/upstream/address-guard.ts';
import { TlsServer } from './self-signed.ts';
import { get, openTransport, redirect, startServer, upstreamError } from './upstream-scene.ts';

let server: TlsServer;
beforeAll(async () => {
  server = await TlsServer.start();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('a certificate', () => {
  test('that nobody vouches for ends the attempt before a request is sent', async () => {
    await using scene = openTransport();
    const error = await upstreamError(scene.transport.send(get(`${server.url}/x`, { authorization: 'Bearer secret' })));
    expect(error).toMatchObject({
      failure: 'unreachable',
      message: expect.stringMatching(
        /: its certificate is not signed by an authority that we trust \(DEPTH_ZERO_SELF_SIGNED_CERT\); upstreams\.registry\.test\.caFile may name one$/,
      ),
    });
    expect(server.requests).toEqual([]);
  });

  test('is trusted with the authority of the configuration', async () => {
    await using scene = openTransport({ ca: server.certificate });
    const response = await scene.transport.send(get(`${server.url}/trusted`));
    expect(Buffer.from(await response.bytes(100)).toString()).toBe('hello over TLS');
  });

  test('of another authority is not trusted', async () => {
    await using other = await TlsServer.start();
    await using scene = openTransport({ ca: other.certificate });
    expect((await upstreamError(scene.transport.send(get(`${server.url}/x`)))).failure).toBe('unreachable');
  });

  test('does not count for another name', async () => {
    const guard = new AddressGuard(
      { name: 'registry.test', endpoint: new URL(server.url), allowPrivate: true },
      async () => [{ address: '127.0.0.1', family: 4 }],
    );
    await using scene = openTransport({ ca: server.certificate, guard });
    const error = await upstreamError(scene.transport.send(get(server.url.replace('127.0.0.1', 'registry.example'))));
    expect(error).toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('its certificate is for another name'),
    });
  });
});

describe('a redirect', () => {
  test('from https to plain http is refused before anybody is asked', async () => {
    await using plain = await startServer();
    await using scene = openTransport({ ca: server.certificate });
    server.away = `${plain.url}/x`;
    const error = await upstreamError(scene.transport.send(get(`${server.url}/away`)));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('from https to plain http') });
    expect(plain.requests).toEqual([]);
  });

  test('from http to https is followed, without the authorization', async () => {
    await using plain = await startServer();
    await using scene = openTransport({ ca: server.certificate });
    redirect(plain, '/x', `${server.url}/from-http`);
    const response = await scene.transport.send(get(`${plain.url}/x`, { authorization: 'Bearer secret' }));
    expect(response.status).toBe(200);
    expect(server.requests.at(-1)).toEqual({ path: '/from-http', authorization: undefined });
  });
});
