// The guard at work: what a redirect, a token server or the DNS would have us dial.
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { AddressGuard } from '../../src/upstream/address-guard.ts';
import { get, openTransport, redirect, startServer, upstreamError } from './upstream-scene.ts';

/** Every name is on loopback, where the servers of the tests are. */
function openGuarded(endpoint: string, addresses: Readonly<Record<string, string>> = {}) {
  const options = { name: 'registry.test', endpoint: new URL(endpoint), allowPrivate: false };
  const guard = new AddressGuard(options, async (hostname) => {
    const address = addresses[hostname] ?? '127.0.0.1';
    return [{ address, family: isIP(address) }];
  });
  return openTransport({ guard });
}

describe('a request', () => {
  test('goes to the address that the guard was given', async () => {
    await using server = await startServer();
    const endpoint = `http://registry.example:${server.port}`;
    await using scene = openGuarded(endpoint);
    expect((await scene.transport.send(get(`${endpoint}/x`))).status).toBe(200);
    expect(server.requests[0]?.headers.host).toBe(`registry.example:${server.port}`);
  });

  test.each(['token', 'blob', 'manifest'] as const)(
    'of kind %s goes nowhere private that was not configured',
    async (kind) => {
      await using server = await startServer();
      await using scene = openGuarded('http://registry.example');
      for (const host of ['127.0.0.1', 'auth.example', 'localhost']) {
        const error = await upstreamError(scene.transport.send(get(`http://${host}:${server.port}/x`, { kind })));
        expect(error).toMatchObject({
          failure: 'protocol',
          message: expect.stringContaining(`${host}: its address is loopback`),
        });
      }
      expect(server.requests).toEqual([]);
    },
  );
});

describe('a redirect', () => {
  test.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', 'localhost', 'cdn.example', '0.0.0.0', '169.254.169.254'])(
    'to %s is refused before anything is sent there',
    async (host) => {
      await using server = await startServer();
      await using victim = await startServer();
      const endpoint = `http://registry.example:${server.port}`;
      await using scene = openGuarded(endpoint);
      redirect(server, '/a', `http://${host}:${victim.port}/b`);
      const error = await upstreamError(scene.transport.send(get(`${endpoint}/a`)));
      expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('must not follow') });
      expect(victim.requests).toEqual([]);
    },
  );

  test('within the host of the endpoint is followed', async () => {
    await using server = await startServer();
    await using store = await startServer();
    const endpoint = `http://registry.example:${server.port}`;
    await using scene = openGuarded(endpoint);
    redirect(server, '/a', `http://registry.example:${store.port}/b`);
    expect((await scene.transport.send(get(`${endpoint}/a`))).url.port).toBe(String(store.port));
  });

  test('of a local registry may lead to another local server', async () => {
    await using server = await startServer();
    await using store = await startServer();
    const endpoint = new URL(server.url);
    const guard = new AddressGuard({ name: 'registry.test', endpoint, allowPrivate: undefined });
    await using scene = openTransport({ guard });
    redirect(server, '/a', `http://localhost:${store.port}/b`);
    expect((await scene.transport.send(get(`${server.url}/a`))).status).toBe(200);
  });

  test('is judged anew at every hop', async () => {
    await using server = await startServer();
    await using victim = await startServer();
    const endpoint = `http://registry.example:${server.port}`;
    await using scene = openGuarded(endpoint);
    redirect(server, '/a', '/b');
    redirect(server, '/b', `${endpoint}/c`);
    redirect(server, '/c', victim.url);
    expect((await upstreamError(scene.transport.send(get(`${endpoint}/a`)))).failure).toBe('protocol');
    expect(server.requests).toHaveLength(3);
    expect(victim.requests).toEqual([]);
  });
});
