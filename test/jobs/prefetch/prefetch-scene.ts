// A registry with images for several platforms, a mirror of it, and prefetches whose every word is kept.

import {
  type ImageEvent,
  type LayerEvent,
  type PlatformWish,
  type PrefetchEvent,
  Prefetcher,
  type PrefetcherOptions,
} from '../../../src/jobs/prefetch/prefetch.ts';
import { hostPlatform, type Platform, parsePlatform } from '../../../src/oci/platform.ts';
import { patient, type StartedMirror, type StartMirrorOptions, startMirror } from '../../mirror/start-mirror.ts';
import { configOf, type FakeManifest, imageManifest, manifestOf, mediaTypes } from '../../support/fake-image.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../../support/fake-upstream.ts';
import type { ServedContent } from '../../support/served-content.ts';

export const name = 'library/app';
export const amd64 = platform('linux/amd64');
export const arm64 = platform('linux/arm64');
const host = hostPlatform();

export function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed) throw new Error(`no platform: ${text}`);
  return parsed;
}

/** One image of an index. */
export interface AddedPlatform {
  readonly manifest: FakeManifest;
  readonly blobs: readonly ServedContent[];
}

export interface PrefetchScene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly prefetcher: Prefetcher;
  /** What prefetches said, all together. */
  readonly events: PrefetchEvent[];
  run(images: readonly string[], options?: RunOptions): ReturnType<Prefetcher['run']>;
  imageEvents(): ImageEvent[];
  /** Of the layers: digest and state, without what arrives. */
  layerEnds(): [string, LayerEvent['state']][];
  isHere(...blobs: readonly { readonly digest: string }[]): boolean;
  /** Methods and kinds that the upstream was asked for since this was looked at last. */
  asked(): string[];
}

export interface RunOptions {
  readonly platforms?: PlatformWish;
  readonly isPatient?: boolean;
  readonly signal?: AbortSignal;
}

export interface PrefetchSceneOptions extends Partial<StartMirrorOptions> {
  readonly upstream?: FakeUpstreamOptions;
  readonly parts?: Partial<PrefetcherOptions>;
}

export async function prefetchScene({ upstream: given, parts, ...options }: PrefetchSceneOptions = {}) {
  const upstream = await startFakeUpstream(given);
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream, 'ghcr.io': upstream }, ...options });
  const events: PrefetchEvent[] = [];
  const prefetcher = new Prefetcher({ ...mirror, sourceOf: async (image) => mirror.source(image), ...parts });
  const scene: PrefetchScene = {
    ...{ upstream, mirror, prefetcher, events },
    run: (images, { platforms = [host], isPatient = false, signal = patient } = {}) =>
      prefetcher.run({ images, platforms, isPatient }, { signal, onEvent: (event) => events.push(event) }),
    imageEvents: () => events.filter((event) => event.type === 'image'),
    layerEnds: () =>
      events
        .filter((event) => event.type === 'layer')
        .filter(({ state }) => state !== 'waiting' && state !== 'arriving')
        .map(({ digest, state }) => [digest, state]),
    isHere: (...blobs) => blobs.every(({ digest }) => mirror.records.blob(digest as never)?.proven),
    asked: () => {
      const asked = upstream.requests.map(({ method, kind }) => `${method} ${kind}`);
      upstream.server.forget();
      return asked;
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
  return scene;
}

/** As BuildKit writes it: an image a platform, with a layer of its own and one that all share, and an attestation. */
export function addMultiPlatform(upstream: FakeUpstream, tag = 'latest', platforms = ['linux/amd64', 'linux/arm64']) {
  const shared = upstream.addBlob(name, 'a layer that all share');
  const entries: object[] = [];
  const added = new Map<string, AddedPlatform>();
  const add = (key: string, says: object, content: string) => {
    const layer = upstream.addBlob(name, `${content} of ${tag}`);
    const config = upstream.addBlob(name, configOf({ architecture: key, os: 'linux' }, [shared, layer], tag));
    const manifest = upstream.addManifest(name, undefined, imageManifest(config, [shared, layer]));
    const { mediaType, content: bytes } = manifest;
    entries.push({ mediaType, digest: bytes.digest, size: bytes.size, platform: says });
    added.set(key, { manifest, blobs: [config, layer] });
  };
  for (const text of platforms) add(text, platform(text), `the layer for ${text}`);
  add('attestation', { os: 'unknown', architecture: 'unknown' }, 'the attestation');
  const index = upstream.addManifest(
    name,
    tag,
    manifestOf(mediaTypes.ociIndex, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries }),
  );
  const of = (key: string) => added.get(key) as AddedPlatform;
  return { index, shared, of };
}
