// Where nobody pulls without a name: every door asks for credentials, and the token endpoint takes them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addWithNeighbours, doorsOf, familyOf, type Image, imageOf, knock, listing } from '../support/access-doors.ts';
import { AccessScene, adminToken, registry, robot } from '../support/access-scene.ts';
import { Caller } from '../support/caller.ts';
import { rowsOf } from '../support/written-table.ts';

// In each group: anonymous, the guesser, who does not know alice's password; then mallory and alice, each with a token of
// the endpoint and with the password itself; then alice with her password under another's name.
const table = `
door                    | public                      | private
manifest by tag         | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
manifest by digest      | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
HEAD manifest by tag    | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
config blob             | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
layer                   | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
HEAD layer              | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
range of the layer      | 401 401 206 206 206 206 401 | 401 401 404 404 206 206 401
layer, If-None-Match    | 401 401 304 304 304 304 401 | 401 401 404 404 304 304 401
layer by ?ns=           | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
layer by a base path    | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
layer of its sister     | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
layer elsewhere         | 401 401 404 404 404 404 401 | 401 401 404 404 404 404 401
manifest under blobs    | 401 401 404 404 404 404 401 | 401 401 404 404 404 404 401
tags/list               | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
referrers               | 401 401 200 200 200 200 401 | 401 401 404 404 200 200 401
_catalog                | 401 401 in  in  in  in  401 | 401 401 out out in  in  401
ping                    | 401 401 200 200 200 200 401 | 401 401 200 200 200 200 401
ping of a base path     | 401 401 200 200 200 200 401 | 401 401 200 200 200 200 401
no such registry        | 401 401 404 404 404 404 401 | 401 401 404 404 404 404 401
`;

describe('access.anonymous "none"', () => {
  let scene: AccessScene;
  let images: Record<'public' | 'private', Image>;
  let callers: Caller[];

  beforeAll(async () => {
    scene = await AccessScene.start({
      anonymous: 'none',
      stock: (upstream) => {
        upstream.addImage('open/elsewhere');
        const added = (kind: string) => imageOf(registry, `acme/${kind}`, addWithNeighbours(upstream, `acme/${kind}`));
        images = { public: added('public'), private: added('private') };
        for (const name of familyOf('acme/private')) upstream.makePrivate(name, robot.username);
      },
    });
    const { anonymous, guesser, mallory, alice } = scene.callers;
    const impostor = new Caller(
      'impostor',
      '127.0.1.7',
      `Basic ${Buffer.from('mallory:alice-secret').toString('base64')}`,
    );
    callers = [anonymous, guesser, await withToken(mallory), mallory, await withToken(alice), alice, impostor];
    for (const image of Object.values(images))
      expect(await knock(alice, scene.mirror.url, doorsOf(image).layer ?? { path: '' })).toBe('200');
  });

  afterAll(async () => {
    for (const caller of callers ?? []) caller[Symbol.dispose]();
    await scene?.[Symbol.asyncDispose]();
  });

  const tokenPath = '/token?service=stillwater&scope=repository:reg.test/acme/private:pull';

  async function withToken(caller: Caller): Promise<Caller> {
    const { status, body } = await caller.ask(`${scene.mirror.url}${tokenPath}`);
    expect(status).toBe(200);
    return new Caller(`${caller.name} with a token`, caller.address, `Bearer ${JSON.parse(body.toString()).token}`);
  }

  test.each(rowsOf(table))('%s', async (door, ...expected) => {
    const found: string[] = [];
    for (const image of [images.public, images.private]) {
      const doors = {
        ...doorsOf(image),
        ping: { path: '/v2/' },
        'ping of a base path': { path: `/${registry}/v2/` },
        'no such registry': { path: '/v2/nowhere.test/acme/app/manifests/latest' },
      };
      const known = Object.entries(doors).find(([name]) => name === door)?.[1] ?? { path: '' };
      const answers: string[] = [];
      for (const caller of callers)
        answers.push(
          door === '_catalog'
            ? await listing(caller, scene.mirror.url, image)
            : await knock(caller, scene.mirror.url, known),
        );
      found.push(answers.join(' '));
    }
    expect(found).toEqual(expected);
  });

  test('a challenge leads to the token endpoint of the host that the client asked', async () => {
    for (const path of ['/v2/', doorsOf(images.private)['manifest by tag']?.path, doorsOf(images.public).layer?.path]) {
      const headers = { host: 'mirror.example:5000' };
      const {
        status,
        headers: told,
        body,
      } = await scene.callers.anonymous.ask(`${scene.mirror.url}${path}`, { headers });
      expect([path, status]).toEqual([path, 401]);
      expect(told['www-authenticate']).toMatch(/^Bearer realm="http:\/\/mirror\.example:5000\/token"(,|$)/);
      expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
    }
  });

  test('the token endpoint answers as docker and podman expect it', async () => {
    const { status, headers, body } = await scene.callers.alice.ask(`${scene.mirror.url}${tokenPath}`);
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    const { token, access_token: same, expires_in: seconds } = JSON.parse(body.toString());
    expect(token).toMatch(/^\S{20,}$/);
    expect(same).toBe(token);
    expect(seconds).toBeGreaterThanOrEqual(60);
  });

  test.each(['anonymous', 'guesser'] as const)('the token endpoint gives nothing to %s', async (person) => {
    const { status, body } = await scene.callers[person].ask(`${scene.mirror.url}${tokenPath}`);
    expect([401, 429]).toContain(status);
    expect(body.toString()).not.toMatch(/swi_|"token"|access_token/);
  });

  test.each([
    ['one that was made up', `swi_${'A'.repeat(43)}`],
    ['that of the admin listener', adminToken],
    ['an unsigned one', `${base64('{"alg":"none"}')}.${base64('{"sub":"alice"}')}.`],
  ])('is not opened by a token: %s', async (_, token) => {
    using caller = new Caller('somebody', '127.0.1.8', `Bearer ${token}`);
    expect(await knock(caller, scene.mirror.url, { path: '/v2/' })).toBe('401');
    expect(await knock(caller, scene.mirror.url, doorsOf(images.public).layer ?? { path: '' })).toBe('401');
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64url');
}
