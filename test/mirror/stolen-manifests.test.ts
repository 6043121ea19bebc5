// A manifest is no more anybody's than a blob: by digest, by a tag, in an index or as a referrer.
import { describe, expect, test } from 'vitest';
import { indexManifest } from '../support/fake-image.ts';
import type { FakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { digestFor, patient } from './start-mirror.ts';
import { evilPath, forged, guarded, isFrom, type Theft, theft } from './theft-scene.ts';

const platform = { architecture: 'amd64', os: 'linux' };

/** The evil registry says that it has the manifest, under the tag too, and sends other bytes. */
function claimManifest({ evil, image }: Theft): void {
  const { mediaType, content } = image.manifest;
  evil.repository(evilPath).addManifest({ mediaType, content: forged(content) }, 'latest');
}

const get = (at: Theft, reference: Parameters<Theft['mirror']['mirror']['getManifest']>[1]) =>
  at.mirror.mirror.getManifest(at.thief, reference, patient);

const asked = (upstream: FakeUpstream) => upstream.requests.map(({ method, kind }) => `${method} ${kind}`);

describe.each(guarded)('where %s, a stored manifest', (_where, options) => {
  test('is not to be had by its digest from a registry that does not have it', async () => {
    await using at = await theft(options);
    await at.pull();
    expect(await get(at, { digest: digestFor(at.image) })).toBeUndefined();
  });

  test.each([
    ['its digest', (at: Theft) => ({ digest: digestFor(at.image) })],
    ['a tag that means it', () => ({ tag: 'latest' })],
  ])('is not to be had by %s from a registry that says it has it', async (_by, reference) => {
    await using at = await theft(options);
    await at.pull();
    claimManifest(at);
    for (let times = 0; times < 2; times++)
      await expect(get(at, reference(at))).rejects.toMatchObject({ failure: 'protocol' });
    expect(asked(at.evil)).toContain('GET manifest');
    expect(isFrom(at, at.thief, digestFor(at.image))).toBe(false);
  });

  test('is not to be had as the child of an index', async () => {
    await using at = await theft(options);
    await at.pull();
    const index = at.evil.addManifest(evilPath, 'multi', indexManifest([{ manifest: at.image.manifest, platform }]));
    const answer = await get(at, { tag: 'multi' });
    expect(answer?.manifest.descriptor.digest).toBe(index.content.digest);
    expect(at.mirror.records.link(at.thief.repository, digestFor(at.image))).toBeDefined();
    expect(await get(at, { digest: digestFor(at.image) })).toBeUndefined();
    claimManifest(at);
    await expect(get(at, { digest: digestFor(at.image) })).rejects.toMatchObject({ failure: 'protocol' });
  });

  test('does not make an index whole that names it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.evil.addManifest(evilPath, 'multi', indexManifest([{ manifest: at.image.manifest, platform }]));
    await get(at, { tag: 'multi' });
    await at.evil.close();
    at.changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
    await expect(get(at, { tag: 'multi' })).rejects.toThrow(`${at.image.digest} is missing`);
  });

  test('is not listed among the referrers of anything', async () => {
    await using at = await theft(options);
    await at.pull();
    const subject = digestFor(at.evil.addImage(evilPath, { tag: 'subject' }));
    await get(at, { digest: subject });
    at.mirror.records.addReferrer(at.thief.repository, subject, digestFor(at.image));
    await at.evil.close();
    const listed = at.mirror.mirror.listReferrers(at.thief, subject, undefined, patient);
    await expect(listed).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('gives no answer about its referrers any sooner', async () => {
    await using at = await theft({ ...options, revalidateTimeoutMs: 0 });
    await at.pull();
    at.evil.addManifest(evilPath, 'multi', indexManifest([{ manifest: at.image.manifest, platform }]));
    await get(at, { tag: 'multi' });
    const gate = new Gate();
    at.evil.faults.add({ kind: 'referrers' }, { holdHeaders: gate });
    const listed = at.mirror.mirror.listReferrers(at.thief, digestFor(at.image), undefined, patient);
    listed.catch(() => {}); // awaited below
    await gate.reached;
    await new Promise((resolve) => setImmediate(resolve));
    gate.open();
    expect(Buffer.from(await listed).toString()).toContain('"manifests":[]');
  });

  test('is a hit for another registry once that has sent it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.evil.addManifest(evilPath, 'latest', at.image.manifest);
    expect((await get(at, { tag: 'latest' }))?.outcome).toBe('miss');
    expect(asked(at.evil)).toEqual(['HEAD manifest', 'GET manifest']);
    expect(isFrom(at, at.thief, digestFor(at.image))).toBe(true);
    expect((await get(at, { tag: 'latest' }))?.outcome).toBe('hit');
    expect((await get(at, { digest: digestFor(at.image) }))?.outcome).toBe('hit');
  });

  test('is asked for anew where a tag of the index remembers it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.evil.addImage(evilPath);
    at.mirror.records.putTag(at.thief.repository, 'latest', {
      digest: digestFor(at.image),
      earlier: digestFor(at.image),
      checkedAt: Date.now(),
    });
    const answer = await get(at, { tag: 'latest' });
    expect(answer?.outcome).toBe('miss');
    expect(answer?.manifest.descriptor.digest).not.toBe(at.image.digest);
  });
});

describe.each(guarded)('where %s, a manifest that names stored blobs of another registry', (_where, options) => {
  test('is not whole by that, and is not served while its own is away', async () => {
    await using at = await theft(options);
    await at.pull();
    at.name(at.layer);
    await get(at, { tag: 'latest' });
    const config = await at.open(at.thief, contentOf('{}'));
    await at.mirror.fills.drained();
    await config?.content.close();
    await at.evil.close();
    at.changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
    await expect(get(at, { tag: 'latest' })).rejects.toThrow(`${at.layer.digest} is missing`);
  });

  test('is whole when both registries sent them', async () => {
    await using at = await theft(options);
    await at.pull();
    at.name(at.layer);
    at.evil.addBlob(evilPath, at.layer);
    await get(at, { tag: 'latest' });
    for (const blob of [at.layer, contentOf('{}')]) {
      const answer = await at.open(at.thief, blob);
      await at.mirror.fills.drained();
      await answer?.content.close();
    }
    await at.evil.close();
    at.changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
    expect((await get(at, { tag: 'latest' }))?.outcome).toBe('hit');
  });
});

test('where all may pull what is public, HEAD of another registry is enough for a manifest', async () => {
  await using at = await theft({ mayShare: true, isPrivate: false });
  await at.pull();
  at.evil.addManifest(evilPath, 'latest', at.image.manifest);
  expect((await get(at, { tag: 'latest' }))?.outcome).toBe('revalidated');
  expect((await get(at, { digest: digestFor(at.image) }))?.outcome).toBe('hit');
  expect(asked(at.evil)).toEqual(['HEAD manifest']);
  expect(isFrom(at, at.thief, digestFor(at.image))).toBe(false);
});

test('a repository of the same registry needs but its HEAD for a manifest, whatever rules there are', async () => {
  await using at = await theft({ mayShare: false, isPrivate: true });
  await at.pull();
  at.home.addManifest('acme/other', 'latest', at.image.manifest);
  at.home.server.forget();
  const other = at.mirror.source('acme/other', { isPrivate: true });
  const answer = await at.mirror.mirror.getManifest(other, { digest: digestFor(at.image) }, patient);
  expect(answer?.outcome).toBe('revalidated');
  expect(asked(at.home)).toEqual(['HEAD manifest']);
});
