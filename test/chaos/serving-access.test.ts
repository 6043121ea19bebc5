// An answer that was given to one is never given again to another who may not have it, however often it was given.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from '@node-rs/bcrypt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addWithNeighbours, doorsOf, type Image, imageOf, knock } from '../support/access-doors.ts';
import { AccessScene, type Person, registry, robot } from '../support/access-scene.ts';
import { basic } from '../support/fake-token-server.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { startMirror } from '../support/mirror-process.ts';
import { RawClient, type RawRequest } from '../support/raw-client.ts';
import { tempDir } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const repository = 'acme/app';
const strangers: readonly Person[] = ['anonymous', 'mallory', 'admin', 'guesser'];
const shown = /^(200|206|304)/;

/** Every spelling of a path that a client might try, right or not. */
function spellings(path: string): string[] {
  const [name = '', query = ''] = path.split('?');
  const encoded = name.replace('acme/app', 'acme%2Fapp');
  return [
    ...[path, `${name}?`, `${name}?x=1`, `${name}?ns=${registry}`, `${name}?ns=${registry}&x=1`, `${name}#x`],
    ...[encoded, name.replace('acme', '%61cme'), name.replace('latest', 'l%61test'), name.replace(':', '%3A')],
    ...[`/${name}`, `/.${name}`, name.replace('/acme', '//acme'), name.replace('/acme', '/./acme'), `/x/..${name}`],
    ...[name.replace('/v2/', '/V2/'), name.replace('acme', 'ACME'), name.replace(registry, registry.toUpperCase())],
    ...[
      `${name}/`,
      `${name};x`,
      `http://mirror${name}`,
      name.replace(`${registry}/`, ''),
      `${name}?${query}&ns=docker.io`,
    ],
  ];
}

describe.each(['pull', 'none'] as const)('with anonymous: %s, what alice pulled many times', (anonymous) => {
  let scene: AccessScene;
  let image: Image;

  beforeAll(async () => {
    scene = await AccessScene.start({
      anonymous,
      stock: (upstream) => {
        image = imageOf(registry, repository, addWithNeighbours(upstream, repository));
        for (const name of upstream.repositories.keys())
          if (name.startsWith('acme/')) upstream.makePrivate(name, robot.username);
      },
    });
    for (let round = 0; round < 4; round++)
      for (const door of Object.values(doorsOf(image))) await knock(scene.callers.alice, scene.mirror.url, door);
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  const refusal = anonymous === 'none' ? '401' : '404';
  const asAlice = () => ({ Authorization: scene.callers.alice.authorization ?? '' });
  const ownDoors = () =>
    Object.entries(doorsOf(image)).filter(([name]) => !/elsewhere|stranger|upload|under blobs/.test(name));

  test.each(strangers)(
    'is never shown to %s, through no door, though alice comes through each of them',
    async (who) => {
      for (const [name, door] of ownDoors()) {
        expect([name, await knock(scene.callers.alice, scene.mirror.url, door)]).toEqual([
          name,
          expect.stringMatching(shown),
        ]);
        const answer = await knock(scene.callers[who], scene.mirror.url, door);
        // A name without a right is told that there is nothing; who has no name where one is needed, to say it.
        const isKnown = who === 'mallory' || who === 'admin';
        expect([name, answer]).toEqual([name, isKnown ? '404' : refusal]);
      }
    },
  );

  test('is never shown to a stranger, in whatever way the path is spelled', async () => {
    using stranger = RawClient.to(scene.mirror.url);
    using alice = RawClient.to(scene.mirror.url);
    let shownToAlice = 0;
    for (const method of ['GET', 'HEAD'])
      for (const [, { path, headers = {} }] of ownDoors())
        for (const spelled of spellings(path)) {
          const request: RawRequest = { method, path: spelled, headers };
          const hers = await alice.ask({ ...request, headers: { ...headers, ...asAlice() } }).answer({ method });
          if (shown.test(String(hers.status))) shownToAlice++;
          const { status } = await stranger.ask(request).answer({ method });
          expect([spelled, String(status)]).toEqual([spelled, expect.not.stringMatching(shown)]);
        }
    expect(shownToAlice).toBeGreaterThan(100);
  });

  test('is not shown to who asks next on the same connection, or in the same breath', async () => {
    using client = RawClient.to(scene.mirror.url);
    for (const [name, { path, method = 'GET', headers = {} }] of ownDoors()) {
      const own = { path, method, headers: { ...headers, ...asAlice() } };
      const other = { path, method, headers };
      const wrong = { path, method, headers: { ...headers, Authorization: basic('mallory', 'not-his-password') } };
      client.ask(own, other, own, wrong, other, own);
      const statuses: string[] = [];
      for (let answer = 0; answer < 6; answer++) statuses.push(String((await client.answer({ method })).status));
      const yes = expect.stringMatching(shown);
      expect([name, ...statuses]).toEqual([name, yes, refusal, yes, refusal, refusal, yes]);
    }
  });

  test('is logged under her name, and what others asked under theirs', async () => {
    const door = doorsOf(image)['manifest by digest'] ?? { path: '' };
    const url = `${door.path}?who`;
    const isOurs = (line: Record<string, unknown>) => line.msg === 'request' && line.url === url;
    for (let round = 0; round < 3; round++)
      for (const who of ['alice', 'anonymous', 'mallory'] as const)
        await knock(scene.callers[who], scene.mirror.url, { ...door, path: url });
    await until('all are logged', () => scene.mirror.logs.filter(isOurs).length === 9);
    for (const line of scene.mirror.logs.filter(isOurs)) {
      const who = Object.values(scene.callers).find(({ address }) => address === line.remote)?.name;
      expect([who, line.principal]).toEqual([who, who === 'anonymous' ? undefined : who]);
      expect(line.status).toBe(who === 'alice' ? 200 : who === 'mallory' ? 404 : Number(refusal));
      expect(line.bytes !== 0 || line.status !== 200).toBe(true);
    }
  });
});

test('a password that is taken away or changed opens nothing any more, and the new one does', async () => {
  await using dir = await tempDir('htpasswd');
  await using upstream = await startFakeUpstream({ auth: { accounts: [robot] } });
  const htpasswdFile = join(dir.path, 'htpasswd');
  const write = async (users: Record<string, string>) => {
    const lines = Object.entries(users).map(async ([user, password]) => `${user}:${await hash(password, 4)}`);
    await writeFile(htpasswdFile, `${(await Promise.all(lines)).join('\n')}\n`);
  };
  await write({ alice: 'first', bob: 'his own' });
  const image = imageOf(registry, repository, upstream.addImage(repository));
  upstream.makePrivate(repository, robot.username);
  const rules = [{ effect: 'allow', principals: ['alice', 'bob'], repositories: [`${registry}/acme/**`] }];
  await using mirror = await startMirror({
    upstreams: { [registry]: { endpoints: [upstream.url], credentials: robot } },
    config: { access: { htpasswdFile, rules } },
  });
  const paths = ['manifest by tag', 'manifest by digest', 'layer'].map((name) => doorsOf(image)[name]?.path ?? '');
  using client = RawClient.to(mirror.url);
  const statusesFor = async (user: string, password: string) => {
    const found = new Set<number>();
    for (let round = 0; round < 4; round++)
      for (const path of paths)
        found.add((await client.ask({ path, headers: { Authorization: basic(user, password) } }).answer()).status);
    return [...found];
  };
  expect(await statusesFor('alice', 'first')).toEqual([200]);
  expect(await statusesFor('bob', 'his own')).toEqual([200]);
  await write({ alice: 'second', bob: 'his own' });
  await until('it is read again', async () => (await statusesFor('alice', 'second')).join() === '200');
  expect(await statusesFor('alice', 'first')).toEqual([404]);
  expect(await statusesFor('bob', 'his own')).toEqual([200]);
  await write({ bob: 'his own' });
  await until('it is read again', async () => (await statusesFor('alice', 'second')).join() === '404');
  expect(await statusesFor('bob', 'his own')).toEqual([200]);
}, 60_000);
