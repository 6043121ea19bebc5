// Who gets what through which door: every kind of caller, every kind of repository, every way to ask.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { doorsOf, knock, listing } from '../support/access-doors.ts';
import { AccessScene, people } from '../support/access-scene.ts';
import { type Images, joinFill, kinds, learnThenTurn, stockKinds } from '../support/repository-kinds.ts';
import { rowsOf } from '../support/written-table.ts';

// Private may be seen by alice alone: the rules name nobody else, not even the admin. The guesser says to be alice and
// does not know her password. In each group: anonymous, mallory, admin, guesser, alice.
const table = `
door                    | public              | private             | private, now public | public, now private
manifest by tag         | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
manifest by digest      | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
HEAD manifest by tag    | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
HEAD manifest by digest | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
manifest, If-None-Match | 304 304 304 304 304 | 404 404 404 404 304 | 304 304 304 304 304 | 404 404 404 404 304
config blob             | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
layer                   | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
HEAD layer              | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
range of the layer      | 206 206 206 206 206 | 404 404 404 404 206 | 206 206 206 206 206 | 404 404 404 404 206
layer, If-None-Match    | 304 304 304 304 304 | 404 404 404 404 304 | 304 304 304 304 304 | 404 404 404 404 304
layer by ?ns=           | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
layer by both at once   | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
layer by a base path    | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
joined fill             | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
layer of its sister     | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
layer elsewhere         | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404
layer a stranger names  | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404
manifest elsewhere      | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404
manifest under blobs    | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404 | 404 404 404 404 404
tags/list               | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
referrers               | 200 200 200 200 200 | 404 404 404 404 200 | 200 200 200 200 200 | 404 404 404 404 200
_catalog                | in  in  in  in  in  | out out out out in  | in  in  in  in  in  | out out out out in
an upload               | 405 405 405 405 405 | 405 405 405 405 405 | 405 405 405 405 405 | 405 405 405 405 405
`;

describe.each(['running', 'stopped'] as const)('an hour after two turned, which passed while it was %s', (how) => {
  let scene: AccessScene;
  let images: Images;

  beforeAll(async () => {
    scene = await AccessScene.start({
      stock: (upstream) => {
        images = stockKinds(upstream);
      },
    });
    await learnThenTurn(scene, images, how);
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  test.each(rowsOf(table))('%s', async (door, ...expected) => {
    const found: string[] = [];
    for (const kind of kinds) {
      const answers: string[] = [];
      for (const person of people) {
        const caller = scene.callers[person];
        const known = doorsOf(images[kind])[door];
        if (door === '_catalog') answers.push(await listing(caller, scene.mirror.url, images[kind]));
        else if (door === 'joined fill') answers.push(await joinFill(scene, kind, person));
        else answers.push(known ? await knock(caller, scene.mirror.url, known) : `there is no door ${door}`);
      }
      found.push(answers.join(' '));
    }
    expect(found).toEqual(expected);
  });

  test.each([1, 2])('_catalog, %i at a time, leads past what is not for the caller without a word of it', async (n) => {
    for (const person of ['anonymous', 'mallory'] as const) {
      const seen: string[] = [];
      for (let path: string | undefined = `/v2/_catalog?n=${n}`; path !== undefined; ) {
        const answer = await scene.callers[person].ask(`${scene.mirror.url}${path}`);
        expect([path, answer.status]).toEqual([path, 200]);
        expect(`${answer.body} ${answer.headers.link}`).not.toMatch(/acme(\/|%2F)(private|withdrawn)/);
        seen.push(...JSON.parse(answer.body.toString()).repositories);
        path = /<([^>]+)>/.exec(String(answer.headers.link))?.[1];
      }
      expect(seen).toEqual(expect.arrayContaining(['reg.test/acme/public', 'reg.test/acme/published']));
    }
  });
});
