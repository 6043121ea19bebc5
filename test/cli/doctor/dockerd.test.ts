// Which mirrors count as this one, and where a dockerd is looked for.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseMirrorAddress } from '../../../src/cli/client-configs/mirror-address.ts';
import { lookAtDockerd } from '../../../src/cli/doctor/dockerd.ts';
import { directoryWith } from '../../config/config-files.ts';

type Env = Readonly<Record<string, string>>;

async function look(mirror: string, env: Env, { registries = ['docker.io'], defaultUpstream = 'docker.io' } = {}) {
  const wish = { mirror: parseMirrorAddress(mirror), registries, defaultUpstream };
  return (await lookAtDockerd(wish, { env, signal: AbortSignal.timeout(10_000) }))[0];
}

/** At a port of its own, which speaks as dockerd does over TCP. */
async function dockerd(answer: string, status = 200) {
  const server = createServer((_request, response) => response.writeHead(status).end(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { DOCKER_HOST: `tcp://127.0.0.1:${port}`, [Symbol.dispose]: () => server.close() };
}

const withMirrors = (...mirrors: readonly string[]) =>
  dockerd(JSON.stringify({ RegistryConfig: { Mirrors: mirrors } }));

describe('a mirror of dockerd', () => {
  test.each([
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5000/'],
    ['http://127.0.0.1:5000', 'http://localhost:5000/'],
    ['http://127.0.0.1:5000', 'http://[::1]:5000/'],
    ['http://127.0.0.1:5000', `http://${hostname()}:5000/`],
    ['https://mirror.example', 'https://mirror.example:443/'],
    ['http://mirror.example/hub', 'http://mirror.example/hub/'],
  ])('%s is %s', async (mirror, listed) => {
    using env = await withMirrors('http://other.example/', listed);
    expect(await look(mirror, env)).toMatchObject({ mark: 'ok', what: `it pulls Docker Hub through ${listed}` });
  });

  test.each([
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/'],
    ['http://127.0.0.1:5000', 'https://127.0.0.1:5000/'],
    ['http://127.0.0.1:5000', 'http://mirror.example:5000/'],
    ['http://mirror.example', 'http://mirror.example/hub/'],
    ['http://mirror.example', 'not a URL'],
  ])('%s is not %s', async (mirror, listed) => {
    using env = await withMirrors(listed);
    expect(await look(mirror, env)).toMatchObject({
      mark: 'warn',
      what: `it does not pull through this mirror: its mirrors are ${listed}`,
      remedy: expect.stringContaining(`{"registry-mirrors":["${mirror}"]}`),
    });
  });

  test('has a path where the root is another registry’s', async () => {
    using env = await withMirrors('http://mirror.example/');
    const own = { registries: ['docker.io', 'ghcr.io'], defaultUpstream: 'ghcr.io' };
    expect(await look('http://mirror.example', env, own)).toMatchObject({
      mark: 'warn',
      remedy: expect.stringContaining('http://mirror.example/docker.io'),
    });
  });
});

describe('a dockerd', () => {
  test.each([
    [
      'that is not there',
      { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
      'not running, at /nowhere/docker.sock: ENOENT',
    ],
    ['behind SSH', { DOCKER_HOST: 'ssh://me@elsewhere' }, 'DOCKER_HOST is none that can be asked from here'],
    [
      'that wants certificates',
      { DOCKER_HOST: 'tcp://127.0.0.1:9', DOCKER_TLS_VERIFY: '1' },
      'DOCKER_HOST is none that can be asked from here',
    ],
    ['whose port refuses', { DOCKER_HOST: 'tcp://127.0.0.1:9' }, 'not running, at 127.0.0.1:9: nothing listens there'],
  ])('%s is no fault', async (_what, env, what) => {
    expect(await look('http://127.0.0.1:5000', env)).toMatchObject({
      mark: 'skip',
      what: expect.stringContaining(what),
    });
  });

  test('whose socket is somebody else’s file is no fault', async () => {
    const dir = directoryWith({ 'docker.sock': 'a file' });
    expect(await look('http://127.0.0.1:5000', { DOCKER_HOST: `unix://${join(dir, 'docker.sock')}` })).toMatchObject({
      mark: 'skip',
      what: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('is not asked by a mirror without Docker Hub', async () => {
    using env = await withMirrors();
    expect(await look('http://127.0.0.1:5000', env, { registries: ['ghcr.io'] })).toMatchObject({ mark: 'skip' });
  });

  test.each([
    ['{}', 200, 'what it says of itself cannot be read'],
    ['<html>', 200, 'what it says of itself cannot be read'],
    ['{"RegistryConfig":{"Mirrors":"http://a"}}', 200, 'what it says of itself cannot be read'],
    ['{"RegistryConfig":{"Mirrors":[]}}', 500, 'it answered 500 to /info'],
  ])('that answers %s with %i is sent to itself', async (answer, status, what) => {
    using env = await dockerd(answer, status);
    const remedy = 'see what docker info says of Registry Mirrors';
    expect(await look('http://127.0.0.1:5000', env)).toMatchObject({ mark: 'warn', what, remedy });
  });
});
