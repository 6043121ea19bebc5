// What was learned of a repository while it was private stays with those who could see it then, whatever changes later.
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  addNaming,
  addWithNeighbours,
  type Door,
  doorsOf,
  familyOf,
  type Image,
  imageOf,
  knock,
} from '../support/access-doors.ts';
import { AccessScene, type AccessSceneOptions, type Person, registry, robot } from '../support/access-scene.ts';
import type { FakeUpstream } from '../support/fake-upstream.ts';
import { type FaultyRequest, refusals } from '../support/faults.ts';
import { ageVerdicts } from '../support/verdict-clock.ts';

const repository = 'acme/app';
const strangers = ['anonymous', 'mallory', 'admin', 'guesser'] as const;
const content = [
  'manifest by tag',
  'manifest by digest',
  'config blob',
  'layer',
  'range of the layer',
  'layer by ?ns=',
];
const shown = /^(200|206|304)/;
const hourMs = 60 * 60 * 1000;

describe.each(['running', 'stopped'] as const)('while the mirror is %s', { timeout: 120_000 }, (how) => {
  async function withScene(
    work: (scene: AccessScene, image: Image) => Promise<void>,
    options: AccessSceneOptions = {},
  ) {
    let image: Image | undefined;
    await using scene = await AccessScene.start({
      ...options,
      stock: (upstream) => {
        image = imageOf(registry, repository, addWithNeighbours(upstream, repository));
      },
    });
    if (image) await work(scene, image);
  }

  const hide = ({ upstream }: AccessScene) => {
    for (const name of familyOf(repository)) upstream.makePrivate(name, robot.username);
  };

  const publish = ({ upstream }: AccessScene) => {
    for (const name of familyOf(repository)) upstream.makePublic(name);
  };

  async function letPass({ mirror }: AccessScene, ms: number): Promise<void> {
    if (how === 'stopped') await mirror.stop();
    expect(ageVerdicts(mirror.cacheDir, ms)).toBeGreaterThan(0);
    if (how === 'stopped') await mirror.restart();
  }

  async function through(scene: AccessScene, person: Person, doors: Record<string, Door>, names = content) {
    const answers: Record<string, string> = {};
    for (const name of names)
      answers[name] = await knock(scene.callers[person], scene.mirror.url, doors[name] ?? { path: '' });
    return answers;
  }

  const all = (status: string, names = content) =>
    Object.fromEntries(names.map((name) => [name, name === 'range of the layer' && status === '200' ? '206' : status]));

  test('an image that was gone before its repository turned public is never given to the others', async () => {
    await withScene(async (scene, current) => {
      const { upstream, callers, mirror } = scene;
      const past = upstream.addImage(repository, { tag: 'past', layers: ['a layer that was never public'] });
      const image = imageOf(registry, repository, past, 'past');
      hide(scene);
      expect(await through(scene, 'alice', doorsOf(image))).toEqual(all('200'));
      expect(await through(scene, 'alice', doorsOf(current))).toEqual(all('200'));
      expect(await through(scene, 'anonymous', doorsOf(image))).toEqual(all('404'));

      forgetUpstream(upstream, image);
      publish(scene);
      // Somebody who knows the digest, and may push a public image there.
      addNaming(upstream, 'open/thief', image.layer, past.layers[0]?.size ?? 0);
      addNaming(upstream, 'open/names-manifest', image.manifest, past.manifest.content.size);
      await letPass(scene, 2 * hourMs);

      for (const person of strangers) {
        expect(await through(scene, person, doorsOf(current))).toEqual(all('200'));
        expect(await through(scene, person, doorsOf(image))).toEqual(all('404'));
        for (const name of ['open/thief', 'open/names-manifest']) {
          await callers[person].ask(`${mirror.url}/v2/${registry}/${name}/manifests/latest`);
          for (const digest of [image.layer, image.config, image.manifest])
            for (const kind of ['blobs', 'manifests'])
              expect(
                await knock(callers[person], mirror.url, { path: `/v2/${registry}/${name}/${kind}/${digest}` }),
              ).toBe('404');
        }
        const tagsList = await callers[person].ask(`${mirror.url}/v2/${registry}/${repository}/tags/list`);
        expect(JSON.parse(tagsList.body.toString()).tags).toEqual(['latest']);
      }
      await upstream.close();
      for (const person of strangers) {
        for (const answer of Object.values(await through(scene, person, doorsOf(image))))
          expect(answer).not.toMatch(shown);
        const tagsList = await callers[person].ask(`${mirror.url}/v2/${registry}/${repository}/tags/list`);
        expect(tagsList.body.toString()).not.toContain('past');
      }
    });
  });

  test('what a tag meant while its repository was private is told to nobody else, though the image is public elsewhere', async () => {
    await withScene(async (scene) => {
      const { upstream } = scene;
      const past = upstream.addImage(repository, { tag: 'past' });
      const image = imageOf(registry, repository, past, 'past');
      hide(scene);
      expect(await through(scene, 'anonymous', doorsOf(image))).toEqual(all('404'));
      expect(await through(scene, 'alice', doorsOf(image))).toEqual(all('200'));
      forgetUpstream(upstream, image);
      publish(scene);
      upstream.addManifest('open/copy', 'past', past.manifest);
      for (const blob of [past.config, ...past.layers]) upstream.addBlob('open/copy', blob);
      await letPass(scene, 2 * hourMs);
      for (const person of strangers) {
        expect(await through(scene, person, doorsOf({ ...image, repository: 'open/copy' }))).toEqual(all('200'));
        expect(await through(scene, person, doorsOf(image))).toEqual(all('404'));
      }
    });
  });

  test.each(['answers', 'fails'])(
    'an image pushed after its repository turned private is for those alone who may see it, and the registry %s',
    async (way) => {
      await withScene(async (scene, before) => {
        const { upstream, callers, mirror } = scene;
        expect(await through(scene, 'anonymous', doorsOf(before))).toEqual(all('200'));
        hide(scene);
        await letPass(scene, 2 * hourMs);
        const layer = 'a layer that was never public';
        const image = imageOf(
          registry,
          repository,
          upstream.addImage(repository, { tag: 'later', layers: [layer] }),
          'later',
        );
        // Before anybody else asks: what is believed of the repository is older than an hour, and wrong.
        expect(await through(scene, 'alice', doorsOf(image))).toEqual(all('200'));
        addNaming(upstream, 'open/thief', image.layer, layer.length);
        if (way === 'fails')
          for (const faults of [upstream.faults, upstream.tokens?.faults]) faults?.add({}, refusals.serverError);

        for (const person of strangers) {
          for (const answer of Object.values(await through(scene, person, doorsOf(image))))
            expect(answer).not.toMatch(shown);
          await callers[person].ask(`${mirror.url}/v2/${registry}/open/thief/manifests/latest`);
          const stolen = { path: `/v2/${registry}/open/thief/blobs/${image.layer}` };
          expect(await knock(callers[person], mirror.url, stolen)).not.toMatch(shown);
        }
        expect(await through(scene, 'alice', doorsOf(image))).toEqual(all('200'));
      });
    },
  );

  test('what was public long ago is not believed for ever when nobody can say whether it still is', async () => {
    await withScene(async (scene, before) => {
      const { upstream } = scene;
      expect(await through(scene, 'anonymous', doorsOf(before))).toEqual(all('200'));
      hide(scene);
      const later = upstream.addImage(repository, { tag: 'later', layers: ['a layer that was never public'] });
      await letPass(scene, 40 * 24 * hourMs);
      // Without a login it is always too soon to ask again; with one, all is well.
      const isStranger = ({ headers: { authorization } }: FaultyRequest) =>
        authorization !== undefined && upstream.tokens?.userOf(authorization) === undefined;
      upstream.faults.add({ when: isStranger }, refusals.pullLimit);
      const doors = doorsOf(imageOf(registry, repository, later, 'later'));
      for (const person of strangers)
        for (const answer of Object.values(await through(scene, person, doors))) expect(answer).not.toMatch(shown);
      expect(await through(scene, 'alice', doors)).toEqual(all('200'));
    });
  });

  test('what was public is believed to be for an hour, and no longer', async () => {
    await withScene(async (scene, image) => {
      expect(await through(scene, 'anonymous', doorsOf(image))).toEqual(all('200'));
      hide(scene);
      await letPass(scene, hourMs / 2);
      expect(await through(scene, 'anonymous', doorsOf(image))).toEqual(all('200'));
      await letPass(scene, hourMs);
      expect(await through(scene, 'anonymous', doorsOf(image))).toEqual(all('404'));
      expect(await through(scene, 'alice', doorsOf(image))).toEqual(all('200'));
    });
  });
});

test('what the credentials showed is not shown once they are taken out of the configuration', async () => {
  let image: Image | undefined;
  await using scene = await AccessScene.start({
    stock: (upstream) => {
      image = imageOf(registry, repository, addWithNeighbours(upstream, repository));
      upstream.makePrivate(repository, robot.username);
    },
  });
  if (!image) throw new Error('there is no image');
  const { mirror, callers, upstream } = scene;
  const doors = doorsOf(image);
  for (const name of content)
    expect(await knock(callers.alice, mirror.url, doors[name] ?? { path: '' })).toMatch(shown);
  await mirror.stop();
  const config = JSON.parse(await readFile(mirror.configFile, 'utf8'));
  delete config.upstreams[registry].credentials;
  await writeFile(mirror.configFile, JSON.stringify(config));
  await mirror.restart();
  for (const outage of [false, true]) {
    if (outage) await upstream.close();
    for (const person of [...strangers, 'alice'] as const)
      for (const name of content)
        expect([person, name, await knock(callers[person], mirror.url, doors[name] ?? { path: '' })]).not.toEqual([
          person,
          name,
          expect.stringMatching(shown),
        ]);
  }
});

/** Somebody deleted it at the registry. */
function forgetUpstream(upstream: FakeUpstream, { tag, manifest, config, layer }: Image): void {
  const { tags, manifests, blobs } = upstream.repository(repository);
  tags.delete(tag);
  manifests.delete(manifest);
  for (const digest of [config, layer]) blobs.delete(digest);
}
