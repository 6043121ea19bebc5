// A mirror before one upstream, and images of it that are here whole, in part or not at all.
import type { AddedImage, FakeUpstream } from '../../support/fake-upstream.ts';
import { startFakeUpstream } from '../../support/fake-upstream.ts';
import {
  altered,
  digestFor,
  filled,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from '../start-mirror.ts';

export const name = 'library/app';

export interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  /** What the mirror believes of its upstream; as it is, where nothing is said. */
  readonly changes: { lastAnswerAt?: number; mayAsk?: () => boolean };
  /** By tag, or by the digest of the image. */
  pull(reference?: string | AddedImage, from?: string): Promise<string | undefined>;
  /** Until they are stored. */
  pullBlobs(image: AddedImage, from?: string): Promise<void>;
  /** Of the upstream, since this was looked at last. */
  asked(): string[];
}

export async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  // Nobody knows whether it is there, unless a test says so.
  const changes: Scene['changes'] = { lastAnswerAt: Number.NEGATIVE_INFINITY };
  const mirror = await startMirror({
    upstreams: { 'docker.io': upstream, 'ghcr.io': upstream },
    wrap: (real) => altered(real, changes),
    revalidateTimeoutMs: 50,
    ...options,
  });
  return {
    upstream,
    mirror,
    changes,
    pull: async (reference = 'latest', from = name) => {
      const wanted = typeof reference === 'string' ? { tag: reference } : { digest: digestFor(reference) };
      return (await mirror.mirror.getManifest(mirror.source(from), wanted, patient))?.outcome;
    },
    pullBlobs: async ({ config, layers }, from = name) => {
      for (const blob of [config, ...layers]) {
        const answer = await mirror.mirror.openBlob(mirror.source(from), digestFor(blob), patient);
        await filled(mirror, digestFor(blob));
        await answer?.content.close();
      }
    },
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
}

/** One image, its manifest here, and of its blobs what `isWhole` says. */
export async function cached({ isWhole }: { isWhole: boolean }, options?: Partial<StartMirrorOptions>) {
  const at = await scene(options);
  const image = at.upstream.addImage(name);
  await at.pull();
  if (isWhole) await at.pullBlobs(image);
  at.asked();
  return { at, image };
}
