// What was fetched with one registry's credentials is not given away under the name of another.
import { describe, expect, test } from 'vitest';
import { addNaming, type Door, knock } from '../support/access-doors.ts';
import { Caller } from '../support/caller.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { committed } from '../support/pulled-image.ts';

const robot = { username: 'robot', password: 'robot-secret' };
const layer = `a layer of one registry, ${'0123456789'.repeat(1000)}`;

type Settings = {
  readonly visibility?: 'check' | 'public' | 'private';
  readonly credentials?: typeof robot;
  readonly rules?: readonly object[];
};

type Scene = {
  readonly mirror: MirrorProcess;
  readonly anybody: Caller;
  readonly image: AddedImage;
  readonly one: FakeUpstream;
  readonly own: Door;
  /** By a manifest of another registry that only names the layer. */
  readonly named: Door;
};

async function withTwo(
  { visibility = 'check', credentials, rules = [] }: Settings,
  work: (scene: Scene) => Promise<void>,
) {
  await using one = await startFakeUpstream({ auth: { accounts: [robot] } });
  await using other = await startFakeUpstream();
  const image = one.addImage('acme/app', { layers: [layer] });
  const digest = image.layers[0]?.digest ?? '';
  addNaming(other, 'open/thief', digest, layer.length);
  await using mirror = await startMirror({
    upstreams: {
      'one.test': { endpoints: [one.url], visibility, ...(credentials && { credentials }) },
      'other.test': other.url,
    },
    config: { access: { rules } },
  });
  using anybody = new Caller('anybody', '127.0.1.1');
  expect((await anybody.ask(`${mirror.url}/v2/one.test/acme/app/manifests/latest`)).status).toBe(200);
  const own = { path: `/v2/one.test/acme/app/blobs/${digest}`, digest };
  const before = '/v2/other.test/open/thief/manifests/latest';
  const named = { before, path: `/v2/other.test/open/thief/blobs/${digest}`, digest };
  await work({ mirror, anybody, image, one, own, named });
}

const unrelated = [{ effect: 'deny', principals: ['nobody-at-all'], repositories: ['one.test/elsewhere'] }];

/** `gives` is what a second registry gives that names the layer and does not have it. */
const cases: readonly (Settings & { readonly what: string; readonly gives: '200' | '404' })[] = [
  { what: 'public content, without credentials or rules, is one for all', gives: '200' },
  { what: 'content that the registry shows to everybody', credentials: robot, gives: '200' },
  { what: 'content that the operator calls public', credentials: robot, visibility: 'public', gives: '404' },
  { what: 'public content where there are rules', rules: unrelated, gives: '404' },
];

describe.each(cases)('$what', { timeout: 60_000 }, ({ gives, ...settings }) => {
  test('stored', async () => {
    await withTwo(settings, async ({ mirror, anybody, own, named }) => {
      expect(await knock(anybody, mirror.url, own)).toBe('200');
      await committed(mirror, own.digest ?? '');
      expect(await knock(anybody, mirror.url, named)).toBe(gives);
      expect(await knock(anybody, mirror.url, { path: named.path, method: 'HEAD' })).toBe(gives);
      await mirror.restart();
      expect(await knock(anybody, mirror.url, named)).toBe(gives);
    });
  });

  test('still arriving', async () => {
    await withTwo(settings, async ({ mirror, anybody, one, own, named }) => {
      const gate = new Gate();
      one.faults.add({ kind: 'blob', path: own.digest ?? '' }, { holdBody: { after: 1000, gate } });
      const first = anybody.begin(`${mirror.url}${own.path}`);
      await gate.reached;
      await anybody.ask(`${mirror.url}${named.before}`);
      // Its own registry does not have it: nothing of what the first one is being sent comes this way.
      expect((await anybody.begin(`${mirror.url}${named.path}`)).status).toBe(404);
      gate.open();
      expect((await (await first).rest).toString()).toBe(layer);
    });
  });
});
