// The registries that people pull from, with the quirks they are known for, behind a mirror whose clients see none.
import { describe, expect, test } from 'vitest';
import { mediaTypes } from '../support/fake-image.ts';
import type { QuirkyRegistry } from '../support/quirky-registry.ts';
import { dockerHub, ghcr, gitlabVirtual, quay, registryK8sIo } from '../support/registry-quirks-community.ts';
import {
  acr,
  artifactRegistry,
  ecrPrivate,
  ecrPublic,
  mcr,
  pageless,
  rangeless,
  redHat,
} from '../support/registry-quirks-vendors.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';
import { codeOf, path, type QuirkScene, quirkScene } from './quirk-scene.ts';

const registries: readonly QuirkyRegistry[] = [
  dockerHub,
  ghcr,
  quay,
  redHat,
  artifactRegistry,
  registryK8sIo,
  mcr,
  ecrPublic,
  ecrPrivate,
  acr,
  gitlabVirtual,
  rangeless,
  pageless,
];

/** Its digest. Who has no API for it writes it down under a tag: https://github.com/opencontainers/distribution-spec, "Referrers Tag Schema". */
function addReferrer({ quirk, image }: QuirkScene, how: 'told by the registry' | 'told by a tag'): string {
  const { content } = quirk;
  const { digest, manifest } = image;
  const config = content.addBlob(path, '{}');
  const referrer = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: 'application/vnd.example.signature',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config.digest, size: config.size },
    layers: [],
    subject: { mediaType: mediaTypes.ociManifest, digest, size: manifest.content.size },
  };
  const added = content.addManifest(path, undefined, referrer, mediaTypes.ociManifest);
  if (how === 'told by a tag') {
    const manifests = content.repository(path).referrers(digest);
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    content.addManifest(path, digest.replace(':', '-'), index, mediaTypes.ociIndex);
  }
  return added.content.digest;
}

async function allTags(at: QuirkScene, n: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let next: string | undefined = `/v2/${path}/tags/list?n=${n}`; next !== undefined && pages.length < 10; ) {
    const { status, body, headers } = await ask(at.url, next);
    expect([status, body.toString()]).toEqual([200, expect.stringContaining('"tags"')]);
    pages.push(JSON.parse(body.toString()).tags);
    next = /<(.+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
  }
  return pages;
}

describe.each(registries)('$name', (registry) => {
  test('gives an image whole, and no other host learns who asks', async () => {
    await using at = await quirkScene(registry);
    const pull = await pullWhole(at.url, `${path}:latest`);
    expect(pull.digest).toBe(at.image.digest);
    for (const request of at.quirk.elsewhere.flatMap(({ requests }) => requests))
      expect(request.headers.authorization).toBeUndefined();
  });

  test('is asked what a tag is now, and for nothing that is here', async () => {
    await using at = await quirkScene(registry);
    await pullWhole(at.url, `${path}:latest`);
    at.asked();
    await pullWhole(at.url, `${path}:latest`);
    expect(at.asked()).toEqual(registry.repull ?? ['HEAD manifest']);
  });

  test('has a tag that moved', async () => {
    await using at = await quirkScene(registry);
    await pullWhole(at.url, `${path}:latest`);
    const { digest } = at.quirk.content.addImage(path, { layers: ['another'] });
    expect((await pullWhole(at.url, `${path}:latest`)).digest).toBe(digest);
  });

  test('says what it does not have', async () => {
    await using at = await quirkScene(registry);
    const tag = await ask(at.url, `/v2/${path}/manifests/other`);
    expect([tag.status, codeOf(tag)]).toEqual([404, 'MANIFEST_UNKNOWN']);
    const repository = await ask(at.url, '/v2/org/missing/manifests/latest');
    expect([repository.status, codeOf(repository)]).toEqual(
      registry.missing === 403 ? [403, 'DENIED'] : [404, 'MANIFEST_UNKNOWN'],
    );
    expect(repository.headers.get('www-authenticate')).toBeNull();
    // A repository that is refused is no reason to refuse another.
    await pullWhole(at.url, `${path}:latest`);
  });

  test('lists its tags in pages', async () => {
    await using at = await quirkScene(registry);
    for (const tag of ['a', 'b', 'c', 'd']) at.quirk.content.addImage(path, { tag });
    expect(await allTags(at, 2)).toEqual([['a', 'b'], ['c', 'd'], ['latest']]);
    expect(await allTags(at, 100_000)).toEqual([['a', 'b', 'c', 'd', 'latest']]);
  });

  test('tells what refers to an image, if only by a tag', async () => {
    await using at = await quirkScene(registry);
    const { digest } = at.image;
    const referrer = addReferrer(at, registry.hasReferrers === false ? 'told by a tag' : 'told by the registry');
    const answer = await ask(at.url, `/v2/${path}/referrers/${digest}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, mediaTypes.ociIndex]);
    const { manifests } = JSON.parse(answer.body.toString());
    expect(manifests.map((one: { digest: string }) => one.digest)).toEqual([referrer]);
    // Where a web page was the answer, the registry is none the worse for it.
    at.quirk.content.addImage(path, { tag: 'other' });
    await pullWhole(at.url, `${path}:other`);
  });
});
