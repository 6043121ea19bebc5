// Manifests for the fake upstream: media types, descriptors, and small images whose layers are any content.
import { contentOf, type ServedContent } from './served-content.ts';

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

export type FakeDescriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };
export type FakeManifest = { readonly mediaType: string; readonly content: ServedContent };
export type FakePlatform = { readonly architecture: string; readonly os: string };

export function describe(mediaType: string, content: ServedContent): FakeDescriptor {
  return { mediaType, digest: content.digest, size: content.size };
}

/** The odd indentation is deliberate: whoever re-serialises the JSON changes the digest. */
export function manifestOf(mediaType: string, json: object): FakeManifest {
  return { mediaType, content: contentOf(`${JSON.stringify(json, null, '\t ')}\n`) };
}

export function configOf(platform: FakePlatform, layers: readonly ServedContent[], note = ''): ServedContent {
  const rootfs = { type: 'layers', diff_ids: layers.map((layer) => layer.digest) };
  return contentOf(JSON.stringify({ ...platform, config: { Labels: { note } }, rootfs }));
}

export function imageManifest(
  config: ServedContent,
  layers: readonly ServedContent[],
  kind: 'oci' | 'docker' = 'oci',
): FakeManifest {
  const mediaType = kind === 'oci' ? mediaTypes.ociManifest : mediaTypes.dockerManifest;
  return manifestOf(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: describe(kind === 'oci' ? mediaTypes.ociConfig : mediaTypes.dockerConfig, config),
    layers: layers.map((layer) => describe(kind === 'oci' ? mediaTypes.ociLayer : mediaTypes.dockerLayer, layer)),
  });
}

export function indexManifest(
  children: readonly { readonly manifest: FakeManifest; readonly platform: FakePlatform }[],
  kind: 'oci' | 'docker' = 'oci',
): FakeManifest {
  const mediaType = kind === 'oci' ? mediaTypes.ociIndex : mediaTypes.dockerList;
  const manifests = children.map(({ manifest, platform }) => ({
    ...describe(manifest.mediaType, manifest.content),
    platform,
  }));
  return manifestOf(mediaType, { schemaVersion: 2, mediaType, manifests });
}
