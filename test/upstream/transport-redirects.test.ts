// Redirects: how far they are followed, where to, and what goes with them.
import { describe, expect, test } from 'vitest';
import { get, openTransport, redirect, startServer, upstreamError } from './upstream-scene.ts';

const authorization = 'Bearer secret';

describe('an authorization', () => {
  test('stays with the origin it was meant for', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', '/b');
    redirect(server, '/b', `${server.url}/c`);
    expect((await scene.transport.send(get(`${server.url}/a`, { authorization }))).status).toBe(200);
    expect(server.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/a', authorization],
      ['/b', authorization],
      ['/c', authorization],
    ]);
  });

  test('does not go to another port of the same host', async () => {
    await using server = await startServer();
    await using other = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', `${other.url}/data`);
    expect((await scene.transport.send(get(`${server.url}/a`, { authorization }))).status).toBe(200);
    expect(server.requests[0]?.headers.authorization).toBe(authorization);
    expect(other.requests).toHaveLength(1);
    expect(other.requests[0]?.rawHeaders.join('\n')).not.toContain('secret');
  });

  test('does not go to another name of the same host', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', `http://localhost:${server.port}/data`);
    expect((await scene.transport.send(get(`${server.url}/a`, { authorization }))).status).toBe(200);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([authorization, undefined]);
  });

  test('does not come back with a redirect that comes back', async () => {
    await using server = await startServer();
    await using other = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', `${other.url}/bounce`);
    redirect(other, '/bounce', `${server.url}/b`);
    await scene.transport.send(get(`${server.url}/a`, { authorization }));
    expect(server.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/a', authorization],
      ['/b', undefined],
    ]);
  });

  test('is not made of the user in a redirect', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', `http://user:password@${server.host}/b`);
    await scene.transport.send(get(`${server.url}/a`));
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });
});

describe('a redirect', () => {
  test('keeps the method and the headers of the request', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', '/b');
    await scene.transport.send(get(`${server.url}/a`, { method: 'HEAD', headers: { range: 'bytes=5-' } }));
    expect(server.requests[1]).toMatchObject({ method: 'HEAD', path: '/b', headers: { range: 'bytes=5-' } });
  });

  test.each([
    ['an absolute path', '/x/y?z=1', '/x/y?z=1'],
    ['a relative path', 'c?z=1', '/a/c?z=1'],
    ['a path upwards', '../c', '/c'],
    ['a query', '?z=1', '/a/b?z=1'],
  ])('may lead to %s', async (_, location, path) => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a/b', location);
    const response = await scene.transport.send(get(`${server.url}/a/b`));
    expect(response.url.href).toBe(server.url + path);
    expect(server.requests.at(-1)?.path).toBe(path);
  });

  test('may lead to another host without a scheme', async () => {
    await using server = await startServer();
    await using other = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', `//${other.host}/b`);
    expect((await scene.transport.send(get(`${server.url}/a`))).url.href).toBe(`${other.url}/b`);
  });

  test('is followed five times, and no more', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    for (let hop = 0; hop < 5; hop++) redirect(server, `/${hop}`, `/${hop + 1}`);
    expect((await scene.transport.send(get(`${server.url}/0`))).status).toBe(200);
    expect(server.requests).toHaveLength(6);

    redirect(server, '/5', '/6');
    const error = await upstreamError(scene.transport.send(get(`${server.url}/0`)));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('more than 5 redirects') });
    expect(server.requests).toHaveLength(12);
  });

  test('that leads back to itself is refused', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', '/b');
    redirect(server, '/b', '/a');
    expect((await upstreamError(scene.transport.send(get(`${server.url}/a`)))).failure).toBe('protocol');
    expect(server.requests).toHaveLength(6);
  });

  test('is not followed with a form: what it holds is for one address', async () => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/token', '/b');
    const form = get(`${server.url}/token`, { kind: 'token', method: 'POST', body: 'refresh_token=secret' });
    const error = await upstreamError(scene.transport.send(form));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('a redirect for a form') });
    expect(server.requests.map(({ path }) => path)).toEqual(['/token']);
  });

  test.each([
    'ftp://127.0.0.1/x',
    'file:///etc/passwd',
    'http://',
    'http://[::',
    'data:,x',
    'unix:/var/run/docker.sock',
  ])('to %s is refused', async (location) => {
    await using server = await startServer();
    await using scene = openTransport();
    redirect(server, '/a', location);
    expect(await upstreamError(scene.transport.send(get(`${server.url}/a`)))).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('without a usable address'),
    });
  });

  test.each([301, 302, 303, 307, 308])('may have the status %d', async (status) => {
    await using server = await startServer();
    await using scene = openTransport();
    server.faults.add({ path: '/a' }, { status, headers: { location: '/b' } });
    expect((await scene.transport.send(get(`${server.url}/a`))).url.pathname).toBe('/b');
  });

  test.each([
    [300, { location: '/b' }],
    [304, { location: '/b' }],
    [307, {}],
  ])('is none with the status %d and the headers %j', async (status, headers) => {
    await using server = await startServer();
    await using scene = openTransport();
    server.faults.add({ path: '/a' }, { status, headers });
    expect((await scene.transport.send(get(`${server.url}/a`))).status).toBe(status);
    expect(server.requests).toHaveLength(1);
  });
});

test('an answer says whether it comes from where it was asked for', async () => {
  await using server = await startServer();
  await using other = await startServer();
  await using scene = openTransport();
  redirect(server, '/same', '/x');
  redirect(server, '/other', `${other.url}/x`);
  redirect(server, '/back', `${other.url}/home`);
  redirect(other, '/home', `${server.url}/x`);
  const isForeign = async (path: string) => (await scene.transport.send(get(server.url + path))).isForeign;
  expect(await Promise.all(['/x', '/same', '/other', '/back'].map(isForeign))).toEqual([false, false, true, false]);
});

test('no error quotes a host of any length', async () => {
  await using server = await startServer();
  await using scene = openTransport();
  redirect(server, '/a', `http://${'a.'.repeat(5000)}example/x`);
  const { failure, message } = await upstreamError(scene.transport.send(get(`${server.url}/a`)));
  expect([failure, message]).toEqual(['protocol', 'upstream registry.test gave a redirect without a usable address']);
});
