// Lists over the wire: pages, their links, and what is told while the upstream is away.
import { describe, expect, test } from 'vitest';
import { mediaTypes } from '../support/fake-image.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { type Answer, errorOf, type Scene, scene } from './start-registry.ts';

const name = 'library/app';

function json({ body }: Answer): unknown {
  return JSON.parse(body.toString());
}

function withTags(at: Scene, ...tags: string[]): void {
  for (const tag of tags) at.upstream.addImage(name, { tag });
}

describe('the tags of a repository', () => {
  test('come from the upstream, in lexical order', async () => {
    await using at = await scene();
    withTags(at, 'c', 'a', 'b');
    const answer = await at.ask(`/v2/${name}/tags/list`);
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(answer.headers.link).toBeUndefined();
    expect(json(answer)).toEqual({ name, tags: ['a', 'b', 'c'] });
  });

  test.each([
    ['as it is', `/v2/${name}/tags/list?n=2`, name],
    ['short', '/v2/app/tags/list?n=2', 'app'],
    ['with its registry in the path', `/v2/docker.io/${name}/tags/list?n=2`, `docker.io/${name}`],
    ['with its registry in front', `/docker.io/v2/${name}/tags/list?n=2`, name],
    ['with its registry as ns', `/v2/${name}/tags/list?n=2&ns=docker.io`, name],
  ])('asked for %s link to the next page in the same words', async (_what, path, called) => {
    await using at = await scene();
    withTags(at, 'a', 'b', 'c', 'd', 'e');
    const pages: unknown[] = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const answer = await at.ask(next);
      pages.push(json(answer));
      const link: string | undefined = answer.headers.link?.toString();
      next = /^<([^>]+)>; rel="next"$/.exec(link ?? '')?.[1];
      if (link !== undefined) expect(next?.split('?')[0]).toBe(path.split('?')[0]);
      if (link !== undefined && path.includes('ns=')) expect(next).toContain('ns=docker.io');
    }
    expect(pages).toEqual([
      { name: called, tags: ['a', 'b'] },
      { name: called, tags: ['c', 'd'] },
      { name: called, tags: ['e'] },
    ]);
  });

  test('begin after last', async () => {
    await using at = await scene();
    withTags(at, 'a', 'b', 'c');
    expect(json(await at.ask(`/v2/${name}/tags/list?last=a`))).toEqual({ name, tags: ['b', 'c'] });
    expect(json(await at.ask(`/v2/${name}/tags/list?n=1&last=b`))).toEqual({ name, tags: ['c'] });
    expect(json(await at.ask(`/v2/${name}/tags/list?last=${encodeURIComponent('a&n=1')}`))).toEqual({
      name,
      tags: ['b', 'c'],
    });
  });

  test('are none for n=0, without a link and without a request', async () => {
    await using at = await scene();
    withTags(at, 'a');
    const answer = await at.ask(`/v2/${name}/tags/list?n=0`);
    expect([answer.status, json(answer), answer.headers.link]).toEqual([200, { name, tags: [] }, undefined]);
    expect(at.upstream.count()).toBe(0);
  });

  test.each(['n=x', 'n=-1', 'n=1.5', 'n='])('for %s are the client’s fault', async (query) => {
    await using at = await scene();
    withTags(at, 'a');
    expect((await at.ask(`/v2/${name}/tags/list?${query}`)).status).toBe(400);
  });

  test('of a page above a thousand are cut to a thousand', async () => {
    await using at = await scene();
    withTags(at, 'a');
    await at.ask(`/v2/${name}/tags/list?n=999999999`);
    expect(at.upstream.requests[0]?.path).toContain('n=1000');
  });

  test('of a repository nobody has are 404', async () => {
    await using at = await scene();
    const answer = await at.ask(`/v2/${name}/tags/list`);
    expect([answer.status, errorOf(answer)]).toEqual([
      404,
      expect.stringContaining('NAME_UNKNOWN: docker.io/library/app'),
    ]);
  });

  test('come from the cache, in pages, while the upstream is away', async () => {
    await using at = await scene();
    withTags(at, 'a', 'b', 'c', 'never-pulled');
    for (const tag of ['c', 'a', 'b']) await at.ask(`/v2/${name}/manifests/${tag}`);
    await at.upstream.close();
    const first = await at.ask(`/v2/docker.io/${name}/tags/list?n=2`);
    expect([first.status, json(first)]).toEqual([200, { name: `docker.io/${name}`, tags: ['a', 'b'] }]);
    expect(first.headers.link).toBe(`</v2/docker.io/${name}/tags/list?n=2&last=b>; rel="next"`);
    const second = await at.ask(`/v2/${name}/tags/list?n=2&last=b`);
    expect([json(second), second.headers.link]).toEqual([{ name, tags: ['c'] }, undefined]);
    const behind = await at.ask(`/v2/${name}/tags/list?n=2&last=c`);
    expect([behind.status, json(behind), behind.headers.link]).toEqual([200, { name, tags: [] }, undefined]);
  });

  test('come from the cache when the upstream is slower than revalidateTimeout', async () => {
    await using at = await scene({ revalidateTimeoutMs: 20 });
    withTags(at, 'a');
    await at.ask(`/v2/${name}/manifests/a`);
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'tags' }, { holdHeaders: gate });
    expect(json(await at.ask(`/v2/${name}/tags/list`))).toEqual({ name, tags: ['a'] });
    gate.open();
  });

  test('are an error while the upstream is away and nothing is cached', async () => {
    await using at = await scene();
    await at.upstream.close();
    expect((await at.ask(`/v2/${name}/tags/list`)).status).toBe(502);
  });

  test('link to us, whatever the upstream links to', async () => {
    await using at = await scene();
    withTags(at, 'a');
    at.upstream.faults.add({ kind: 'tags' }, { headers: { link: '<https://evil.example/x?last=z&n=9>; rel="next"' } });
    const { headers } = await at.ask(`/v2/${name}/tags/list?n=1`);
    expect(headers.link).toBe(`</v2/${name}/tags/list?n=1&last=z>; rel="next"`);
  });
});

describe('referrers', () => {
  async function withReferrers() {
    const at = await scene();
    const { digest, manifest } = at.upstream.addImage(name);
    const subject = { mediaType: manifest.mediaType, digest, size: manifest.content.size };
    for (const artifactType of ['application/one', 'application/two']) {
      const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: contentOf('{}').digest, size: 2 };
      const artifact = {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        artifactType,
        config,
        layers: [],
        subject,
      };
      at.upstream.addManifest(name, undefined, artifact, mediaTypes.ociManifest);
    }
    return { at, digest };
  }

  test('pass through as the upstream gives them', async () => {
    const { at, digest } = await withReferrers();
    await using _ = at;
    const answer = await at.ask(`/v2/${name}/referrers/${digest}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, mediaTypes.ociIndex]);
    expect(json(answer)).toMatchObject({
      manifests: [{ artifactType: 'application/one' }, { artifactType: 'application/two' }],
    });
  });

  test('are filtered here by the type that was asked for, and say so', async () => {
    const { at, digest } = await withReferrers();
    await using _ = at;
    for (const artifactType of ['application/one', 'application/two']) {
      const answer = await at.ask(`/v2/${name}/referrers/${digest}?artifactType=${artifactType}`);
      expect(answer.headers['oci-filters-applied']).toBe('artifactType');
      expect(json(answer)).toMatchObject({ manifests: [{ artifactType }] });
    }
    const { path } = at.upstream.requests[0] ?? {};
    expect(path).not.toContain('artifactType');
  });

  test('of one type alone are the bytes that the upstream gave', async () => {
    const { at, digest } = await withReferrers();
    await using _ = at;
    const manifests = [{ mediaType: mediaTypes.ociManifest, digest, size: 2, artifactType: 'application/two' }];
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    at.upstream.faults.add({ kind: 'referrers' }, { body });
    const answer = await at.ask(`/v2/${name}/referrers/${digest}?artifactType=application/two`);
    expect(answer.headers['oci-filters-applied']).toBe('artifactType');
    expect(answer.body.toString()).toBe(body);
  });

  test.each(['', '?artifactType='])('say nothing of a filter that nobody asked for: %j', async (query) => {
    const { at, digest } = await withReferrers();
    await using _ = at;
    const answer = await at.ask(`/v2/${name}/referrers/${digest}${query}`);
    expect(answer.headers['oci-filters-applied']).toBeUndefined();
    expect(json(answer)).toMatchObject({ manifests: [{}, {}] });
    expect(at.upstream.requests[0]?.path).not.toContain('artifactType');
  });

  test('of something nobody refers to are an empty index', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    const answer = await at.ask(`/v2/${name}/referrers/${contentOf('nothing').digest}`);
    expect([answer.status, json(answer)]).toEqual([200, expect.objectContaining({ manifests: [] })]);
  });

  test.each([
    ['without the API', { status: 404, body: '404 page not found' }],
    ['with a web page instead', refusals.html],
  ])('of an upstream %s are an empty index where no tag tells of them either', async (_what, effect) => {
    await using at = await scene();
    const { digest } = at.upstream.addImage(name);
    at.upstream.faults.add({ kind: 'referrers' }, effect);
    const answer = await at.ask(`/v2/${name}/referrers/${digest}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, mediaTypes.ociIndex]);
    expect(json(answer)).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
  });

  test('of an upstream that is away are an error when nothing is known here', async () => {
    const { at, digest } = await withReferrers();
    await using _ = at;
    await at.upstream.close();
    expect((await at.ask(`/v2/${name}/referrers/${digest}`)).status).toBe(502);
  });

  test('of something that is no digest are 400', async () => {
    await using at = await scene();
    expect((await at.ask(`/v2/${name}/referrers/sha256:bad`)).status).toBe(400);
  });
});

describe('the catalog', () => {
  test('tells what is cached, in pages', async () => {
    await using at = await scene();
    for (const repository of ['org/c', 'org/a', 'org/b']) {
      at.upstream.addImage(repository);
      await at.ask(`/v2/${repository}/manifests/latest`);
    }
    expect(json(await at.ask('/v2/_catalog'))).toEqual({
      repositories: ['docker.io/org/a', 'docker.io/org/b', 'docker.io/org/c'],
    });
    const first = await at.ask('/v2/_catalog?n=2');
    expect(json(first)).toEqual({ repositories: ['docker.io/org/a', 'docker.io/org/b'] });
    const next = /^<(.+)>; rel="next"$/.exec(first.headers.link?.toString() ?? '')?.[1] ?? '';
    const second = await at.ask(next);
    expect([json(second), second.headers.link]).toEqual([{ repositories: ['docker.io/org/c'] }, undefined]);
    expect(json(await at.ask('/v2/_catalog?n=0'))).toEqual({ repositories: [] });
  });
});
