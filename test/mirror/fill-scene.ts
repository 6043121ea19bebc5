// One blob at one upstream and a mirror of it, for the tests of what happens to its transfer.
import type { BlobAnswer } from '../../src/mirror/blobs.ts';
import type { WantedRange } from '../../src/oci/byte-range.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import type { ServedContent } from '../support/served-content.ts';
import { digestFor, patient, type StartedMirror, type StartMirrorOptions, startMirror } from './start-mirror.ts';

export const name = 'library/app';
/** Of the blob, unless a test asks for another. */
export const size = 200_000;

export interface FillScene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly blob: ServedContent;
  open(of?: ServedContent, wanted?: WantedRange): Promise<BlobAnswer | undefined>;
  /** Of the fills that failed, by reason. */
  failures(): Promise<readonly { readonly reason: unknown; readonly value: number }[]>;
}

export async function scene({ size: bytes = size, ...options }: SceneOptions = {}): Promise<FillScene> {
  const upstream = await startFakeUpstream();
  const blob = await upstream.addGeneratedBlob(name, { size: bytes, seed: 1 });
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, ...options });
  return {
    upstream,
    mirror,
    blob,
    open: (of = blob, wanted) => mirror.mirror.openBlob(mirror.source(name), digestFor(of), patient, wanted),
    failures: async () => {
      const { values } = await mirror.metrics.fillFailures.get();
      return values.map(({ labels, value }) => ({ reason: labels.reason, value }));
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

export type SceneOptions = Partial<StartMirrorOptions> & { readonly size?: number };
