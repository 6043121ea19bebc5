// The fake upstream does what tests rely on; a fault that did nothing would make a test about it pass for nothing.
import { describe, expect, test } from 'vitest';
import { BlobClient } from './blob-client.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type FaultEffect, refusals } from './faults.ts';
import { Gate } from './gate.ts';
import { type contentOf, generateContent, sha256 } from './served-content.ts';

const text = 'some bytes of a layer';
const repository = 'library/app';

async function withLayer(): Promise<{ upstream: FakeUpstream; url: string; content: ReturnType<typeof contentOf> }> {
  const upstream = await startFakeUpstream();
  const content = upstream.addBlob(repository, text);
  return { upstream, url: `${upstream.url}/v2/${repository}/blobs/${content.digest}`, content };
}

async function pulled(effect: FaultEffect) {
  const { upstream, url, content } = await withLayer();
  await using _ = upstream;
  upstream.faults.add({ kind: 'blob' }, effect);
  return await new BlobClient(url, { content }).done;
}

describe('generated content', () => {
  test('is the same from every offset', async () => {
    const content = await generateContent({ size: 2 * 1024 * 1024 + 77, seed: 3 });
    const whole = Buffer.concat([...content.read(0, content.size)]);
    expect(sha256(whole)).toBe(content.digest);
    for (const [start, end] of [
      [0, 5],
      [10, 40],
      [1024 * 1024 - 3, 1024 * 1024 + 30],
      [2 * 1024 * 1024 + 76, content.size],
    ] as const) {
      expect(Buffer.concat([...content.read(start, end)]).equals(whole.subarray(start, end))).toBe(true);
    }
  });

  test('differs by seed', async () => {
    const [one, two] = await Promise.all([1, 2].map((seed) => generateContent({ size: 100, seed })));
    expect(one?.digest).not.toBe(two?.digest);
  });
});

describe('a blob', () => {
  test('arrives whole without faults, and is counted', async () => {
    const { upstream, url, content } = await withLayer();
    await using _ = upstream;
    const result = await new BlobClient(url, { content }).done;
    expect(result).toMatchObject({ status: 200, received: text.length, isTrue: true, isComplete: true });
    expect(upstream.count({ method: 'GET', kind: 'blob' })).toBe(1);
    expect(upstream.bytesSent('blob')).toBe(text.length);
  });

  test.each([
    ['bytes=5-', text.slice(5)],
    ['bytes=0-3', text.slice(0, 4)],
    ['bytes=-4', text.slice(-4)],
    ['bytes=5-9999', text.slice(5)],
  ])('answers %s with 206', async (range, expected) => {
    const { upstream, url } = await withLayer();
    await using _ = upstream;
    const answer = await fetch(url, { headers: { range } });
    expect([answer.status, await answer.text()]).toEqual([206, expected]);
  });

  test('can be dropped, flipped, mislabelled and sent without a length', async () => {
    expect(await pulled({ dropAfter: 4 })).toMatchObject({ received: 4, isComplete: false, isTrue: true });
    expect(await pulled({ flipByteAt: 4 })).toMatchObject({ received: text.length, isComplete: true, isTrue: false });
    expect((await pulled({ dockerContentDigest: 'sha256:wrong' })).headers['docker-content-digest']).toBe(
      'sha256:wrong',
    );
    expect((await pulled({ dockerContentDigest: null })).headers['docker-content-digest']).toBeUndefined();
    expect(await pulled({ chunked: true })).toMatchObject({ contentLength: -1, isComplete: true, isTrue: true });
    expect((await pulled({ gzip: true })).headers['content-encoding']).toBe('gzip');
    expect((await pulled(refusals.abuseLimit)).status).toBe(429);
    await expect(pulled({ hangUp: true })).rejects.toThrow();
  });

  test('can be reset, which takes back even what was on its way', async () => {
    const result = await pulled({ resetAfter: 4 }).catch(() => undefined);
    expect(result?.isComplete ?? false).toBe(false);
  });

  test('waits at a gate after as many bytes as were asked for', async () => {
    const { upstream, url, content } = await withLayer();
    await using _ = upstream;
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob' }, { holdBody: { after: -1, gate } });
    const client = new BlobClient(url, { content });
    await gate.reached;
    expect(upstream.bytesSent('blob')).toBe(text.length - 1);
    gate.open();
    expect(await client.done).toMatchObject({ isComplete: true, isTrue: true });
  });

  test('fails as often as it was told to', async () => {
    const { upstream, url } = await withLayer();
    await using _ = upstream;
    upstream.faults.add({ kind: 'blob', times: 2 }, refusals.serverError);
    const statuses = [await fetch(url), await fetch(url), await fetch(url)].map(({ status }) => status);
    expect(statuses).toEqual([500, 500, 200]);
  });
});

describe('an upstream with tokens and a cdn', () => {
  test('challenges, accepts the token, redirects, and the cdn refuses the token', async () => {
    await using upstream = await startFakeUpstream({ auth: {}, cdn: true });
    const { digest } = upstream.addBlob(repository, text);
    const url = `${upstream.url}/v2/${repository}/blobs/${digest}`;
    const challenged = await fetch(url);
    expect(challenged.status).toBe(401);
    expect(challenged.headers.get('www-authenticate')).toContain(`scope="repository:${repository}:pull"`);
    const scope = `repository:${repository}:pull`;
    const { token } = (await (await fetch(`${upstream.tokens?.realm}?scope=${scope}`)).json()) as { token: string };
    const headers = { authorization: `Bearer ${token}` };
    const redirected = await fetch(url, { headers, redirect: 'manual' });
    expect(redirected.status).toBe(307);
    const location = redirected.headers.get('location') ?? '';
    expect(await (await fetch(location)).text()).toBe(text);
    expect((await fetch(location, { headers })).status).toBe(400);
    upstream.tokens?.revokeAll();
    expect((await fetch(url, { headers })).status).toBe(401);
  });

  test('refuses connections during an outage and comes back', async () => {
    await using upstream = await startFakeUpstream();
    await upstream.close();
    await expect(fetch(`${upstream.url}/v2/`)).rejects.toThrow();
    await upstream.reopen();
    expect((await fetch(`${upstream.url}/v2/`)).status).toBe(200);
  });
});
