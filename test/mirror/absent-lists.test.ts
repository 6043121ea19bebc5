// A repository that has no list of tags: asked for once in a while, until something of it is here.
import { expect, test } from 'vitest';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { scene as opened, type Scene } from './images/image-scene.ts';
import { digestFor, patient } from './start-mirror.ts';

const name = 'library/missing';

/** Its upstream knows no such repository yet. */
async function scene(): Promise<Scene & { list(last?: string): Promise<readonly string[] | undefined> }> {
  const at = await opened({ negativeTtlMs: 60_000 });
  const source = at.mirror.source(name);
  return {
    ...at,
    list: async (last) =>
      (await at.mirror.mirror.listTags(source, { n: 5, ...(last !== undefined && { last }) }, patient))?.tags,
  };
}

test('costs its upstream one request, whatever part of the list is asked for', async () => {
  await using at = await scene();
  for (const last of [undefined, 'a', 'b', undefined]) expect(await at.list(last)).toBeUndefined();
  expect(at.asked()).toEqual(['GET tags']);
});

test('does not hide that of another one', async () => {
  await using at = await scene();
  expect(await at.list()).toBeUndefined();
  at.upstream.addImage('library/app');
  const source = at.mirror.source('library/app');
  expect(await at.mirror.mirror.listTags(source, { n: 5 }, patient)).toMatchObject({ tags: ['latest'] });
});

test.each<[string, FaultEffect]>([
  ['401', refusals.unauthorized],
  ['403', refusals.denied],
  ['500', refusals.serverError],
])('is asked for again after a %s', async (_what, effect) => {
  await using at = await scene();
  const refusal = at.upstream.faults.add({}, effect);
  await expect(at.list()).rejects.toMatchObject({ name: 'UpstreamError' });
  refusal.remove();
  at.upstream.addImage(name);
  expect(await at.list()).toEqual(['latest']);
});

test('has one as soon as a tag or a manifest of it is here', async () => {
  await using at = await scene();
  expect(await at.list()).toBeUndefined();
  const image = at.upstream.addImage(name);
  expect(await at.list()).toBeUndefined();
  await at.pull(image, name);
  expect(await at.list()).toEqual(['latest']);
  await at.pull('latest', name);
  at.upstream.repository(name).tags.set('next', digestFor(image));
  expect(await at.list()).toEqual(['latest', 'next']);
});
