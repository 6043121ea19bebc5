// Who is known by an address alone: an answer for one address is never given to another, however it came here.
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { doorsOf, type Image, imageOf } from '../support/access-doors.ts';
import { registry, robot } from '../support/access-scene.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const shown = /^(200|206|304)/;

describe('two addresses with different rights', () => {
  let upstream: FakeUpstream;
  let mirror: MirrorProcess;
  const proxy = '127.0.0.9';
  const images: Record<string, Image> = {};
  /** Which of the three may have it. */
  const rights: Record<string, readonly string[]> = {
    'acme/one': ['127.0.0.1'],
    'acme/two': ['127.0.0.2'],
    'acme/both': ['127.0.0.1', '127.0.0.2'],
    'open/all': ['127.0.0.1', '127.0.0.2', '127.0.0.3'],
    'open/not-two': ['127.0.0.1', '127.0.0.3'],
  };
  const principals: Record<string, string | undefined> = { '127.0.0.1': 'one', '127.0.0.2': 'two' };

  beforeAll(async () => {
    upstream = await startFakeUpstream({ auth: { accounts: [robot] } });
    for (const name of Object.keys(rights)) {
      images[name] = imageOf(registry, name, upstream.addImage(name));
      if (name.startsWith('acme/')) upstream.makePrivate(name, robot.username);
    }
    const rule = (effect: string, principal: string, name: string) => ({
      ...{ effect, principals: [principal], repositories: [`${registry}/${name}`] },
    });
    const networks = [
      { cidr: '127.0.0.1/32', principal: 'one' },
      { cidr: '127.0.0.2/32', principal: 'two' },
    ];
    const allowed = ['one', 'both'].map((name) => rule('allow', 'one', `acme/${name}`));
    const others = ['two', 'both'].map((name) => rule('allow', 'two', `acme/${name}`));
    mirror = await startMirror({
      upstreams: { [registry]: { endpoints: [upstream.url], credentials: robot } },
      config: {
        access: { networks, rules: [...allowed, ...others, rule('deny', 'two', 'open/not-two')] },
      },
    });
    const config = JSON.parse(await readFile(mirror.configFile, 'utf8'));
    config.listen.trustedProxies = [proxy];
    await writeFile(mirror.configFile, JSON.stringify(config));
    await mirror.restart();
  });

  afterAll(async () => {
    await mirror?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  const ways = [
    ['come themselves', false],
    ['are brought by one proxy, over one connection', true],
  ] as const;

  test.each(ways)('never share an answer, and are logged under their own names, when they %s', async (_, isBrought) => {
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    const connections = addresses.map((address) => RawClient.to(mirror.url, isBrought ? proxy : address));
    const [shared] = connections;
    const from = mirror.logs.length;
    let asked = 0;
    for (let round = 0; round < 6; round++)
      for (const [name, allowed] of Object.entries(rights))
        for (const [door, { path, method = 'GET', headers = {} }] of Object.entries(doorsOf(images[name] as Image))) {
          if (!/^(HEAD )?manifest by|^(HEAD )?layer$|If-None-Match|^range/.test(door)) continue;
          for (const [index, address] of addresses.entries()) {
            const client = isBrought ? shared : connections[index];
            const forwarded: Record<string, string> = isBrought ? { 'X-Forwarded-For': address } : {};
            const answer = await client
              ?.ask({ path, method, headers: { ...headers, ...forwarded } })
              .answer({ method });
            const isShown = shown.test(String(answer?.status));
            expect([door, name, address, isShown]).toEqual([door, name, address, allowed.includes(address)]);
            asked++;
          }
        }
    const lines = () => mirror.logs.slice(from).filter(({ msg }) => msg === 'request');
    await until('all are logged', () => lines().length === asked);
    for (const { remote, principal } of lines())
      expect([remote, principal]).toEqual([remote, principals[String(remote)]]);
    for (const connection of connections) connection.hangUp();
  });
});
