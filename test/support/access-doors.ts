// Every way to ask a mirror for something of a repository, and what the answer was, in one word.
import { createHash } from 'node:crypto';
import type { Caller, Heard } from './caller.ts';
import { mediaTypes } from './fake-image.ts';
import type { AddedImage, FakeUpstream } from './fake-upstream.ts';

export type Image = {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
  readonly config: string;
  readonly layer: string;
};

export type Door = {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked for before, whatever the answer. */
  readonly before?: string;
  /** What the body of a 200 must hash to. */
  readonly digest?: string;
};

/** Puts an image there, with a second repository that shares its layer, and a stranger whose manifest only names it. */
export function addWithNeighbours(upstream: FakeUpstream, repository: string): AddedImage {
  const layer = `the layer of ${repository}, ${'0123456789'.repeat(200)}`;
  const image = upstream.addImage(repository, { layers: [layer] });
  upstream.addImage(sisterOf(repository), { layers: [layer] });
  addNaming(upstream, strangerOf(repository), image.layers[0]?.digest ?? '', layer.length);
  return image;
}

/** A public image whose manifest names a layer that the repository does not have. */
export function addNaming(upstream: FakeUpstream, repository: string, digest: string, size: number): void {
  const config = upstream.addBlob(repository, `{"note":"${repository}"}`);
  upstream.addManifest(
    repository,
    'latest',
    {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.size },
      layers: [{ mediaType: mediaTypes.ociLayer, digest, size }],
    },
    mediaTypes.ociManifest,
  );
}

/** Those that are private or public together with the repository. */
export const familyOf = (repository: string): string[] => [repository, sisterOf(repository)];
export const sisterOf = (repository: string): string => `${repository}-sister`;
export const strangerOf = (repository: string): string => `open/names-${repository.replaceAll('/', '-')}`;

export function imageOf(registry: string, repository: string, added: AddedImage, tag = 'latest'): Image {
  const { digest: manifest, config, layers } = added;
  return { registry, repository, tag, manifest, config: config.digest, layer: layers[0]?.digest ?? '' };
}

/** A door a name; the names are those of the rows in the tables. */
export function doorsOf(image: Image): Record<string, Door> {
  const { registry, repository, tag, manifest, config, layer } = image;
  const at = (name: string) => `/v2/${registry}/${name}`;
  const base = at(repository);
  const blob = `${base}/blobs/${layer}`;
  return {
    'manifest by tag': { path: `${base}/manifests/${tag}`, digest: manifest },
    'manifest by digest': { path: `${base}/manifests/${manifest}`, digest: manifest },
    'HEAD manifest by tag': { path: `${base}/manifests/${tag}`, method: 'HEAD' },
    'HEAD manifest by digest': { path: `${base}/manifests/${manifest}`, method: 'HEAD' },
    'manifest, If-None-Match': { path: `${base}/manifests/${tag}`, headers: { 'if-none-match': `"${manifest}"` } },
    'config blob': { path: `${base}/blobs/${config}`, digest: config },
    layer: { path: blob, digest: layer },
    'HEAD layer': { path: blob, method: 'HEAD' },
    'range of the layer': { path: blob, headers: { range: 'bytes=5-99' } },
    'layer, If-None-Match': { path: blob, headers: { 'if-none-match': `"${layer}"` } },
    'layer by ?ns=': { path: `/v2/${repository}/blobs/${layer}?ns=${registry}`, digest: layer },
    'layer by both at once': { path: `${blob}?ns=${registry}`, digest: layer },
    'layer by a base path': { path: `/${registry}/v2/${repository}/blobs/${layer}`, digest: layer },
    'layer of its sister': { path: `${at(sisterOf(repository))}/blobs/${layer}`, digest: layer },
    'layer elsewhere': { path: `${at('open/elsewhere')}/blobs/${layer}`, digest: layer },
    'layer a stranger names': {
      before: `${at(strangerOf(repository))}/manifests/latest`,
      path: `${at(strangerOf(repository))}/blobs/${layer}`,
      digest: layer,
    },
    'manifest under blobs': { path: `${base}/blobs/${manifest}` },
    'manifest elsewhere': { path: `${at('open/elsewhere')}/manifests/${manifest}`, digest: manifest },
    'tags/list': { path: `${base}/tags/list` },
    referrers: { path: `${base}/referrers/${manifest}` },
    'an upload': { path: `${base}/blobs/uploads/`, method: 'POST' },
  };
}

/** The status, or what is wrong with an answer that has the right one. */
export async function knock(caller: Caller, url: string, door: Door): Promise<string> {
  const { path, before, digest, method = 'GET', headers = {} } = door;
  if (before !== undefined) await caller.ask(`${url}${before}`);
  return verdictOn(await caller.ask(`${url}${path}`, { method, headers }), digest);
}

export function verdictOn({ status, headers, body }: Heard, digest?: string): string {
  if (status !== 401 && headers['www-authenticate'] !== undefined) return `${status} with a challenge`;
  if (status === 401 && headers['www-authenticate'] === undefined) return '401 without a challenge';
  if (status !== 200 || digest === undefined) return String(status);
  const real = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  return real === digest ? '200' : `200 with ${body.length} wrong bytes`;
}

/** Whether a repository is in the catalog that the caller is shown: `in`, `out`, or the status of a refusal. */
export async function listing(caller: Caller, url: string, { registry, repository }: Image): Promise<string> {
  const answer = await caller.ask(`${url}/v2/_catalog?n=1000`);
  if (answer.status !== 200) return verdictOn(answer);
  const { repositories } = JSON.parse(answer.body.toString()) as { repositories: string[] };
  return repositories.includes(`${registry}/${repository}`) ? 'in' : 'out';
}
