// Whoever keeps the mirror from finding out what is public gains nothing by it, and takes nothing from anybody else.
import { expect, test } from 'vitest';
import { doorsOf, type Image, imageOf, knock } from '../support/access-doors.ts';
import { AccessScene, registry, robot } from '../support/access-scene.ts';
import { Caller } from '../support/caller.ts';
import { type FaultyRequest, refusals } from '../support/faults.ts';
import { until } from '../support/until.ts';
import { ageVerdicts } from '../support/verdict-clock.ts';

const repository = 'acme/app';
const strangers = ['anonymous', 'mallory', 'admin', 'guesser'] as const;
const content = ['manifest by tag', 'manifest by digest', 'config blob', 'layer', 'range of the layer'] as const;
const question = { kind: 'tags', path: 'tags/list?n=1' } as const;

async function withApp(work: (scene: AccessScene, before: Image) => Promise<void>) {
  let before: Image | undefined;
  await using scene = await AccessScene.start({
    stock: (upstream) => {
      before = imageOf(registry, repository, upstream.addImage(repository));
      upstream.addImage('open/new');
    },
  });
  if (before) await work(scene, before);
}

test('names made up until the registry answers nobody without a login keep nothing open that turned private', async () => {
  await withApp(async (scene, before) => {
    const { upstream, mirror, callers } = scene;
    const ask = async (name: (typeof strangers)[number] | 'alice', image: Image) => {
      const answers: string[] = [];
      for (const door of content)
        answers.push(await knock(callers[name], mirror.url, doorsOf(image)[door] ?? { path: '' }));
      return answers;
    };
    expect(await ask('anonymous', before)).toEqual(['200', '200', '200', '200', '206']);
    for (const digest of [before.config, before.layer])
      await until('it is stored', async () => {
        const { headers } = await callers.anonymous.ask(`${mirror.url}/v2/${registry}/${repository}/blobs/${digest}`);
        return headers['cache-status'] === 'stillwater; hit';
      });
    upstream.makePrivate(repository, robot.username);
    const added = upstream.addImage(repository, { tag: 'later', layers: ['pushed after it turned private'] });
    const later = imageOf(registry, repository, added, 'later');
    ageVerdicts(mirror.cacheDir, 2 * 3600_000);
    let left = 20;
    const isTooMany = ({ kind, headers: { authorization } }: FaultyRequest) =>
      kind === 'tags' && authorization !== undefined && !upstream.tokens?.userOf(authorization) && --left < 0;
    upstream.faults.add({ when: isTooMany }, { ...refusals.pullLimit, headers: { 'retry-after': '900' } });
    for (let index = 0; index < 25; index++)
      await callers.mallory.ask(`${mirror.url}/v2/${registry}/made/up${index}/manifests/latest`);
    for (const person of strangers) {
      expect([person, ...(await ask(person, later))]).toEqual([person, '503', '503', '503', '503', '503']);
      expect([person, ...(await ask(person, before))]).toEqual([person, '200', '200', '200', '200', '206']);
    }
    expect(await ask('alice', later)).toEqual(['200', '200', '200', '200', '206']);
    expect(await ask('anonymous', later)).toEqual(['503', '503', '503', '503', '503']);
  });
});

test('a flood of made-up names from one address makes nothing look missing, and keeps nobody from pulling', async () => {
  await withApp(async ({ upstream, mirror }) => {
    upstream.faults.add(question, { delayMs: 20 });
    using flood = new Caller('flood', '127.0.9.1');
    using other = new Caller('other', '127.0.9.2');
    const told = new Map<number, number>();
    let isOn = true;
    let made = 0;
    const pump = async () => {
      while (isOn) {
        const { status } = await flood.ask(`${mirror.url}/v2/${registry}/made/up${made++}/manifests/latest`);
        told.set(status, (told.get(status) ?? 0) + 1);
      }
    };
    const pumps = Array.from({ length: 100 }, pump);
    await until('it is refused what is more than its share', () => (told.get(503) ?? 0) > 100);
    const at = `${mirror.url}/v2/${registry}/open/new/manifests/latest`;
    expect((await other.ask(at)).status).toBe(200);
    isOn = false;
    await Promise.all(pumps);
    expect([...told.keys()].filter((status) => status !== 404 && status !== 503)).toEqual([]);
  });
}, 60_000);
