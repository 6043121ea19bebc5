// To who may not see it, what is private looks in every way like what is not there.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addWithNeighbours, doorsOf, familyOf, type Image, imageOf, sisterOf } from '../support/access-doors.ts';
import { AccessScene, type Person, registry, robot } from '../support/access-scene.ts';
import type { Heard } from '../support/caller.ts';
import type { FakeUpstreamOptions } from '../support/fake-upstream.ts';
import { tell } from '../support/tell.ts';

type Registry = Pick<Required<FakeUpstreamOptions>, 'hidden' | 'missing'>;

// Names of one length: then a different Content-Length is a difference.
const [secret, absent, unpulled] = ['acme/secret', 'acme/absent', 'acme/unread'] as const;

/** As Docker Hub, ghcr.io, and two that say openly what they hide. */
const registries: readonly Registry[] = [
  { hidden: 'unauthorized', missing: 'unauthorized' },
  { hidden: 'no token: 403', missing: 'not-found' },
  { hidden: 'denied', missing: 'not-found' },
  { hidden: 'not-found', missing: 'not-found' },
];

describe.each(registries)('where the registry says $hidden of private and $missing of missing', (said) => {
  let scene: AccessScene;
  let image: Image;

  beforeAll(async () => {
    scene = await AccessScene.start({
      ...said,
      stock: (upstream) => {
        upstream.addImage('open/elsewhere');
        image = imageOf(registry, secret, addWithNeighbours(upstream, secret));
        addWithNeighbours(upstream, unpulled);
        for (const name of [...familyOf(secret), ...familyOf(unpulled)]) upstream.makePrivate(name, robot.username);
      },
    });
    // All of it is here, for alice.
    for (const door of ['manifest by tag', 'config blob', 'layer', 'tags/list', 'referrers'])
      expect([door, (await ask('alice', secret, door)).status]).toEqual([door, 200]);
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  /** Asks for the same digests and tag, of another repository. */
  function ask(person: Person, repository: string, name: string): Promise<Heard> {
    const { path = '', method = 'GET', headers = {} } = doorsOf({ ...image, repository })[name] ?? {};
    return scene.callers[person].ask(`${scene.mirror.url}${path}`, { method, headers });
  }

  /** All that a client sees, but for the time of day and the name that it gave itself. */
  function looks({ status, rawHeaders, body }: Heard, repository: string): string {
    const headers = rawHeaders.map((value, index) => (/^date$/i.test(rawHeaders[index - 1] ?? '') ? 'now' : value));
    const text = `${status}\n${headers.join('\n')}\n${body}`;
    return text.replaceAll(sisterOf(repository), 'SISTER').replaceAll(repository, 'NAME');
  }

  const shut = Object.keys(doorsOf({ registry, repository: '', tag: '', manifest: '', config: '', layer: '' })).filter(
    (name) => !['layer elsewhere', 'layer a stranger names', 'manifest elsewhere', 'an upload'].includes(name),
  );

  test.each(shut)('%s', async (door) => {
    for (const person of ['anonymous', 'mallory'] as const) {
      const missing = await ask(person, absent, door);
      expect(missing.status).toBe(404);
      expect(missing.headers['www-authenticate']).toBeUndefined();
      for (const repository of [secret, unpulled])
        expect(looks(await ask(person, repository, door), repository)).toBe(looks(missing, absent));
    }
  });

  test('what a private repository does not have is the same as what it has', async () => {
    const none = { ...image, tag: 'latent', manifest: `sha256:${'0'.repeat(64)}`, layer: `sha256:${'1'.repeat(64)}` };
    const heard = async (which: Image, name: string) => {
      const { path = '', method = 'GET' } = doorsOf(which)[name] ?? {};
      const text = looks(await scene.callers.anonymous.ask(`${scene.mirror.url}${path}`, { method }), secret);
      return [which.tag, which.manifest, which.layer].reduce((shown, value) => shown.replaceAll(value, 'IT'), text);
    };
    for (const door of ['manifest by tag', 'manifest by digest', 'layer', 'HEAD layer', 'referrers'])
      expect(await heard(image, door)).toBe(await heard(none, door));
  });

  // No limit in milliseconds: the two are asked in turns by the same process in the same seconds, so that whatever else
  // the machine does slows both, and only their ratio counts. One that went to the registry, the disk or the hash of a
  // password, where the other did not, would be off by far more than this.
  test.each(['manifest by tag', 'layer'])('takes as long: %s', async (door) => {
    const times: Record<string, number[]> = { [secret]: [], [absent]: [] };
    for (const repository of [secret, absent]) await ask('anonymous', repository, door);
    for (let round = 0; round < 200; round++)
      for (const repository of [secret, absent])
        times[repository]?.push((await ask('anonymous', repository, door)).totalMs);
    const [hidden = 0, missing = 0] = [secret, absent].map((repository) => median(times[repository] ?? []));
    tell({ door, 'median ms of private': hidden, 'median ms of missing': missing });
    expect(hidden / missing).toBeLessThan(3);
    expect(missing / hidden).toBeLessThan(3);
  });
});

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
