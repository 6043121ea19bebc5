// Which answers are kept to be given again ahead of the app: those that can be, and nothing of their bytes.
import { expect, test, vi } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { unlisted } from '../../src/upstream/upstream.ts';
import { altered } from '../mirror/start-mirror.ts';
import { mediaTypes } from '../support/fake-image.ts';
import { Gate } from '../support/gate.ts';
import { retainedBytes } from '../support/retained-bytes.ts';
import { asked, blob, type HotScene, heat, isHot, manifest, name, openedByTest } from './hot-scene.ts';
import type { Asking } from './start-registry.ts';

const hour = 3_600_000;
const running = openedByTest();
const { open } = running;

/** To be opened anew whenever it is asked for; what answers by it would keep it for no use. */
function asUnlisted({ hot }: HotScene): void {
  const { source: sourceOf, upstreams } = hot.mirror;
  const { upstream, ...source } = sourceOf(name);
  vi.spyOn(upstreams, 'route').mockReturnValue({ ...source, upstream: altered(upstream, { label: unlisted }) });
}

/** Larger than what is remembered. */
function addLarge({ upstream }: HotScene): string {
  const annotations = { padding: 'x'.repeat(3_900_000) };
  upstream.addManifest(name, 'padded', { schemaVersion: 2, manifests: [], annotations }, mediaTypes.ociIndex);
  return manifest('padded');
}

test.each<[string, (at: HotScene) => readonly [string, Asking?]]>([
  ['credentials', () => [named, { headers: { authorization: 'Basic Zm9vOmJhcg==' } }]],
  ['a strange host', () => [named, { headers: { host: 'EXAMPLE.test' } }]],
  ['a query that nobody reads', () => [`${manifest('latest')}?x=1`]],
  ['two namespaces', () => [`${named}&ns=docker.io`]],
  ['an empty query', () => [`${manifest('latest')}?`]],
  ['what is too large for memory', (at) => [addLarge(at)]],
  [
    'what is here in part',
    ({ upstream }) => [manifest(upstream.addImage(name, { tag: 'partial', layers: ['never asked for'] }).digest)],
  ],
  [
    'an old answer',
    ({ upstream, image: { digest }, hot: { mirror } }) => {
      // Its upstream is asked behind it, and does not say anything.
      upstream.faults.add({ kind: 'manifest' }, { holdHeaders: new Gate() });
      mirror.records.putTag(mirror.source(name).repository, 'latest', {
        digest: digest as Digest,
        checkedAt: Date.now() - hour,
      });
      return [named];
    },
  ],
  [
    'an unlisted registry',
    (at) => {
      asUnlisted(at);
      return [named];
    },
  ],
])('%s: what is the app’s anyway takes no place from others', async (_what, prepare) => {
  const at = await open({ mostHot: 1, staleWhileRevalidateMs: 2 * hour });
  const other = manifest(at.image.digest);
  await heat(at, [other]);
  const [path, asking] = prepare(at);
  for (const _ of [1, 2, 3]) {
    expect(await asked(at, path, asking)).toMatchObject([false, { status: 200 }]);
  }
  expect(await isHot(at, other)).toBe(true);
  // One does.
  vi.restoreAllMocks();
  await heat(at, [blob(at.small.digest)]);
  expect(await isHot(at, other)).toBe(false);
});

const named = `${manifest('latest')}?ns=docker.io`;

test('an unlisted registry’s answers are the app’s', async () => {
  const at = await open();
  asUnlisted(at);
  for (const _ of [1, 2]) expect(await asked(at, named)).toMatchObject([false, { status: 200 }]);
});

test('many spellings of one large manifest keep nothing of it in memory', async () => {
  const at = await open();
  const path = addLarge(at);
  await at.hot.ask(path);
  const before = retainedBytes();
  for (let index = 1; index < path.length; index++) {
    if (path[index] === '/') continue;
    const spelled = `%${path.charCodeAt(index).toString(16)}`;
    const asking = { method: 'HEAD' };
    expect((await at.hot.ask(path.slice(0, index) + spelled + path.slice(index + 1), asking)).status).toBe(200);
  }
  expect(retainedBytes() - before).toBeLessThan(12_000_000);
});
