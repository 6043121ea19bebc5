// An upstream that must not be asked.
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { offlineUpstream } from '../../src/upstream/offline-upstream.ts';
import { never, upstreamError } from './upstream-scene.ts';

test('an upstream of a mirror that is offline refuses every question', async () => {
  const upstream = offlineUpstream({ name: 'docker.io' });
  const digest = digestOf(Buffer.from(''));
  for (const asking of [
    upstream.resolve('library/app', { tag: 'latest' }, never),
    upstream.fetchManifest('library/app', { digest }, never),
    upstream.fetchBlob('library/app', digest, never),
    upstream.proveBlob('library/app', digest, never),
    upstream.listTags('library/app', { n: 1 }, never),
    upstream.fetchReferrers('library/app', digest, never),
    upstream.isPublic('library/app', never),
  ])
    expect(await upstreamError(asking)).toMatchObject({
      failure: 'offline',
      message: 'upstream docker.io is not asked: the mirror is offline',
    });
  expect([upstream.mayAsk('manifest'), upstream.mayAsk('blob')]).toEqual([false, false]);
  expect(upstream.status()).toEqual({ name: 'docker.io', endpoints: [] });
  upstream.distrust(digest);
  await upstream.close();
});
