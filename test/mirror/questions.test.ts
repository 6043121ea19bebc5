// What a pull costs the upstream: what a repository brought by its own name is its own, without another question.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unlisted } from '../../src/upstream/upstream.ts';
import type { Source } from '../../src/upstream/upstreams.ts';
import { indexManifest } from '../support/fake-image.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { altered, digestFor, patient, readAll, type StartedMirror, startMirror } from './start-mirror.ts';

const name = 'acme/app';
const platform = { architecture: 'amd64', os: 'linux' };
let dir: TempDir;
let upstream: FakeUpstream;
let image: AddedImage;

beforeEach(async () => {
  dir = await tempDir('mirror');
  upstream = await startFakeUpstream();
  image = upstream.addImage(name, { layers: ['one layer', 'another layer'] });
  upstream.addManifest(name, 'multi', indexManifest([{ manifest: image.manifest, platform }]));
});

afterEach(async () => {
  await upstream[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const blobs = () => [image.config, ...image.layers];

/** As containerd pulls: the index by its tag, the image by its digest, the blobs at once. The answers' outcomes. */
async function pull({ mirror, fills }: StartedMirror, source: Source): Promise<(string | undefined)[]> {
  const index = await mirror.getManifest(source, { tag: 'multi' }, patient);
  const manifest = await mirror.getManifest(source, { digest: digestFor(image) }, patient);
  const answers = await Promise.all(blobs().map((blob) => mirror.openBlob(source, digestFor(blob), patient)));
  for (const answer of answers) if (answer) await readAll(answer.content);
  await fills.drained();
  return [index, manifest, ...answers].map((answer) => answer?.outcome);
}

function asked(): string[] {
  return upstream.requests.map(({ method, kind }) => `${method} ${kind}`).sort();
}

describe.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])('with what is public shared: %s, of what only some may see: %s', (mayShare, isPrivate) => {
  const start = (siblings: boolean) =>
    startMirror({ upstreams: { 'docker.io': upstream }, dir: dir.path, mayShare, siblings });

  test.each([true, false])(
    'a pull asks for each thing once, and never again (all layers at the first: %s)',
    async (siblings) => {
      await using mirror = await start(siblings);
      const source = mirror.source(name, { isPrivate });
      await pull(mirror, source);
      expect(asked()).toEqual(['GET blob', 'GET blob', 'GET blob', 'GET manifest', 'GET manifest', 'HEAD manifest']);
      upstream.server.forget();
      expect(await pull(mirror, source)).toEqual(['hit', 'hit', 'hit', 'hit', 'hit']);
      await mirror.stop();
      await using again = await start(siblings);
      expect(await pull(again, again.source(name, { isPrivate }))).toEqual(['hit', 'hit', 'hit', 'hit', 'hit']);
      expect(asked()).toEqual([]);
    },
  );

  test('what was fetched for all is there for those who see more, without a question', async () => {
    await using mirror = await start(false);
    await pull(mirror, mirror.source(name));
    upstream.server.forget();
    await pull(mirror, mirror.source(name, { isPrivate: true }));
    expect(asked()).toEqual([]);
  });

  test('what is arriving for all is joined by those who see more, without a question', async () => {
    await using mirror = await start(false);
    const digest = digestFor(blobs()[1] as { digest: string });
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 1, gate } });
    const first = await mirror.mirror.openBlob(mirror.source(name), digest, patient);
    const joined = await mirror.mirror.openBlob(mirror.source(name, { isPrivate: true }), digest, patient);
    expect([joined?.outcome, upstream.count()]).toEqual(['joined', 1]);
    gate.open();
    for (const answer of [first, joined]) if (answer) await readAll(answer.content);
  });

  test('what another registry is sending makes place for its own, without a question', async () => {
    await using away = await startFakeUpstream();
    await using mirror = await startMirror({
      upstreams: { 'docker.io': upstream, 'ghcr.io': away },
      wrap: (real) => (real.name === 'ghcr.io' ? altered(real, { label: unlisted }) : real),
      mayShare,
    });
    const source = mirror.source(name, { isPrivate });
    await mirror.mirror.getManifest(source, { tag: 'latest' }, patient);
    const layer = image.layers[0] as AddedImage['config'];
    const gate = new Gate();
    away.addBlob('some/app', layer);
    away.faults.add({ kind: 'blob' }, { holdBody: { after: 1, gate } });
    const theirs = await mirror.mirror.openBlob(mirror.source('ghcr.io/some/app'), digestFor(layer), patient);
    const ours = await mirror.mirror.openBlob(source, digestFor(layer), patient);
    expect([ours?.outcome, upstream.count({ kind: 'blob' })]).toEqual(['miss', 1]);
    gate.open();
    if (ours) await readAll(ours.content);
    await theirs?.content.close();
  });

  test('another repository that has it too asks once for each, and never again', async () => {
    await using mirror = await start(false);
    await pull(mirror, mirror.source(name, { isPrivate }));
    const other = mirror.source('acme/other', { isPrivate });
    for (const blob of blobs()) upstream.addBlob('acme/other', blob);
    upstream.addManifest('acme/other', 'multi', indexManifest([{ manifest: image.manifest, platform }]));
    upstream.repository('acme/other').addManifest(image.manifest);
    upstream.server.forget();
    await pull(mirror, other);
    const proofs = mayShare && !isPrivate ? [] : ['GET blob', 'GET blob', 'GET blob', 'HEAD manifest'];
    expect(asked()).toEqual([...proofs, 'HEAD manifest']);
    expect(upstream.bytesSent('blob')).toBe(proofs.length === 0 ? 0 : blobs().length);
    upstream.server.forget();
    await pull(mirror, other);
    expect(asked()).toEqual([]);
  });
});

describe.each([true, false])('a blob that is here is looked up (with what is public shared: %s)', (mayShare) => {
  test.each([false, true])('in three questions to the index, four at most (for some: %s)', async (isPrivate) => {
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream }, mayShare });
    const source = mirror.source(name, { isPrivate });
    await pull(mirror, source);
    const layer = digestFor(blobs()[1] as { digest: string });
    const { records } = mirror;
    let count = 0;
    for (const question of ['link', 'blob', 'isFrom', 'isPublic', 'hasOrigin'] as const) {
      const real = records[question].bind(records) as (...given: unknown[]) => unknown;
      Object.assign(records, {
        [question]: (...given: unknown[]) => {
          count++;
          return real(...given);
        },
      });
    }
    const answer = await mirror.mirror.openBlob(source, layer, patient);
    await answer?.content.close();
    expect(answer?.outcome).toBe('hit');
    expect(count).toBe(mayShare && isPrivate ? 4 : 3);
  });
});
