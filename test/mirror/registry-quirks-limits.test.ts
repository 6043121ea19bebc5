// What registries say of limits and of logins that end, each in its own odd way.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { laterClock } from '../support/later-clock.ts';
import { dockerHub, ghcr, gitlab } from '../support/registry-quirks-community.ts';
import { ecrPrivate, ecrPublic } from '../support/registry-quirks-vendors.ts';
import { tempDir } from '../support/temp-dir.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';
import { ForwardProxy, proxyEnvironment } from '../upstream/forward-proxy.ts';
import { codeOf, name, path, quirkScene } from './quirk-scene.ts';

describe.each(
  [dockerHub, ghcr].flatMap(({ limits = {}, ...registry }) =>
    Object.entries(limits).map(([how, effect]) => ({ registry, name: registry.name, how, effect })),
  ),
)('$name, when it says $how', ({ registry, effect }) => {
  test('is left alone, and its images stay', async () => {
    await using at = await quirkScene(registry);
    at.quirk.content.addImage(path, { tag: 'other' });
    await pullWhole(at.url, `${path}:latest`);
    await at.stored();
    at.quirk.server.faults.add({}, effect);
    at.asked();
    for (const _ of ['first', 'second']) {
      await pullWhole(at.url, `${path}:latest`);
      const answer = await ask(at.url, `/v2/${path}/manifests/other`);
      expect([answer.status, codeOf(answer)]).toEqual([503, 'TOOMANYREQUESTS']);
      expect(answer.headers.get('retry-after')).toBeNull();
    }
    expect(at.asked()).toEqual(['HEAD manifest']);
    const limit = at.registry.mirror.upstreams.status()[0]?.endpoints[0]?.limits[0];
    expect(limit?.retryInMs).toBeGreaterThan(0);
    expect(limit?.retryInMs).toBeLessThan(20 * 60_000);
  });
});

test('Docker Hub’s count of pulls is known, and a pull by one image costs one', async () => {
  await using at = await quirkScene(dockerHub);
  await pullWhole(at.url, `${path}:latest`);
  await pullWhole(at.url, `${path}:latest`);
  expect(at.registry.mirror.upstreams.status()).toMatchObject([
    {
      name,
      endpoints: [{ limits: [{ credential: 'anonymous', limit: 100, remaining: 99, windowSeconds: 21_600 }] }, {}],
    },
  ]);
});

test.each([
  ['403', ghcr],
  ['400', ecrPublic],
])(
  'a token that is no longer good is replaced, though that is told by %s and without a challenge',
  async (_, registry) => {
    await using at = await quirkScene(registry);
    using clock = laterClock();
    await pullWhole(at.url, `${path}:latest`);
    at.quirk.content.addImage(path, { tag: 'other', layers: ['another'] });
    at.quirk.content.tokens?.revokeAll();
    clock.pass(20);
    await pullWhole(at.url, `${path}:other`);
  },
);

test('a token that is refused at once was not too old, and no other is asked for', async () => {
  await using at = await quirkScene(ghcr);
  await pullWhole(at.url, `${path}:latest`);
  at.quirk.content.addImage(path, { tag: 'other' });
  at.quirk.content.tokens?.revokeAll();
  expect((await ask(at.url, `/v2/${path}/manifests/other`)).status).toBe(403);
  expect(at.quirk.content.tokens?.requests).toHaveLength(1);
});

test('a password that has expired is replaced, without a restart', async () => {
  await using dir = await tempDir('password');
  const file = join(dir.path, 'login.json');
  await using at = await quirkScene(
    {
      async start() {
        const quirk = await ecrPrivate.start();
        await writeFile(file, JSON.stringify(quirk.login));
        return quirk;
      },
    },
    { credentials: { exec: ['cat', file] } },
  );
  using clock = laterClock();
  await pullWhole(at.url, `${path}:latest`);
  at.quirk.expire();
  clock.pass(20);
  await writeFile(file, JSON.stringify(at.quirk.login));
  at.quirk.content.addImage(path, { tag: 'other', layers: ['another'] });
  await pullWhole(at.url, `${path}:other`);
});

test('a realm on another host of the registry’s domain is shown the password, and its token is kept for a while', async () => {
  await using proxy = await ForwardProxy.start();
  using _ = proxyEnvironment({ HTTP_PROXY: proxy.url });
  await using at = await quirkScene(gitlab);
  const { server, tokens } = at.quirk.content;
  proxy.hosts.set('registry.forge.example.org:80', server.port);
  proxy.hosts.set('forge.example.org:80', tokens?.server.port ?? 0);
  await pullWhole(at.url, `${path}:latest`);
  await pullWhole(at.url, `${path}:latest`);
  expect(tokens?.requests).toHaveLength(1);
});
