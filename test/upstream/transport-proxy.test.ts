// The proxy that the environment names stands between us and an upstream.
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { AddressGuard } from '../../src/upstream/address-guard.ts';
import { ForwardProxy, proxyEnvironment } from './forward-proxy.ts';
import { TlsServer } from './self-signed.ts';
import { get, openTransport, startServer, upstreamError } from './upstream-scene.ts';

describe('a proxy', () => {
  test('is used for http, and resolves the name', async () => {
    await using proxy = await ForwardProxy.start();
    await using server = await startServer();
    using _ = proxyEnvironment({ HTTP_PROXY: proxy.url });
    await using scene = openTransport();
    proxy.hosts.set('registry.nowhere.example:80', server.port);
    const response = await scene.transport.send(
      get('http://registry.nowhere.example/x', { authorization: 'Bearer t' }),
    );
    expect(Buffer.from(await response.bytes(100)).toString()).toBe('hello');
    expect(proxy.asked).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      path: '/x',
      headers: { host: 'registry.nowhere.example', authorization: 'Bearer t' },
    });
  });

  test('is used for https as a tunnel that it cannot look into, with the authority of the configuration', async () => {
    await using proxy = await ForwardProxy.start();
    await using server = await TlsServer.start();
    using _ = proxyEnvironment({ HTTPS_PROXY: proxy.url });
    await using scene = openTransport({ ca: server.certificate });
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect(Buffer.from(await response.bytes(100)).toString()).toBe('hello over TLS');
    expect(proxy.asked).toEqual([{ via: 'connect', target: server.url.replace('https://', '') }]);
  });

  test('is passed by for the hosts that NO_PROXY names', async () => {
    await using proxy = await ForwardProxy.start();
    await using server = await startServer();
    using _ = proxyEnvironment({ HTTP_PROXY: proxy.url, NO_PROXY: 'other.example,127.0.0.1' });
    await using scene = openTransport();
    const response = await scene.transport.send(get(`${server.url}/x`));
    expect(Buffer.from(await response.bytes(100)).toString()).toBe('hello');
    expect(proxy.asked).toEqual([]);
  });

  test('that is down makes the upstream unreachable', async () => {
    const proxy = await ForwardProxy.start();
    using _ = proxyEnvironment({ HTTP_PROXY: proxy.url });
    await proxy[Symbol.asyncDispose]();
    await using scene = openTransport();
    const error = await upstreamError(scene.transport.send(get('http://registry.nowhere.example/x')));
    expect(error.failure).toBe('unreachable');
  });

  test('is dialled wherever it is, and resolves what we could not judge; addresses are still judged by us', async () => {
    await using proxy = await ForwardProxy.start();
    await using server = await startServer();
    using _ = proxyEnvironment({ HTTP_PROXY: proxy.url.replace('127.0.0.1', 'localhost') });
    const endpoint = new URL('http://registry.nowhere.example');
    await using scene = openTransport({
      guard: new AddressGuard({ name: 'registry.test', endpoint, allowPrivate: undefined }),
    });
    proxy.hosts.set('cdn.nowhere.example:80', server.port);
    expect((await scene.transport.send(get('http://cdn.nowhere.example/x'))).status).toBe(200);
    for (const host of ['127.0.0.1', '10.0.0.1', 'localhost', '169.254.169.254']) {
      const error = await upstreamError(scene.transport.send(get(`http://${host}:${server.port}/x`)));
      expect(error.message).toContain('leads where we must not follow');
    }
    expect(proxy.asked).toHaveLength(1);
  });

  test('has no more time for a connection than the upstream would have', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    using _ = proxyEnvironment({ HTTPS_PROXY: `https://localhost:${port}` });
    await using scene = openTransport({ connectTimeoutMs: 200 });
    const error = await upstreamError(scene.transport.send(get('https://registry.nowhere.example/x')));
    expect(error.failure).toBe('timeout');
    silent.close();
  });

  test('is none of our business when the environment names none', async () => {
    await using server = await startServer();
    using _ = proxyEnvironment({});
    await using scene = openTransport();
    expect((await scene.transport.send(get(`${server.url}/x`))).status).toBe(200);
  });
});
