// A registry with an image that is not everybody's, pulled already, and one that somebody set up to get at its bytes.
import type { WantedRange } from '../../src/oci/byte-range.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Content } from '../../src/store/content.ts';
import type { Source } from '../../src/upstream/upstreams.ts';
import { imageManifest } from '../support/fake-image.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import {
  altered,
  digestFor,
  filled,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

export const [path, evilPath] = ['acme/app', 'evil/app'];
/** In every layer; no forgery has it. */
export const secret = 'a private layer ';
export const size = 300_000;

export interface TheftOptions extends Partial<StartMirrorOptions> {
  readonly mayShare: boolean;
  /** Whether only some may see the image at its own registry. */
  readonly isPrivate: boolean;
}

/** Wherever bytes of one registry are not another one's: by rules, or because they are not public at their own. */
export const guarded = [
  ['rules say who may pull', { mayShare: false, isPrivate: false }],
  ['rules say who may pull, of what is private', { mayShare: false, isPrivate: true }],
  ['all may pull, of what is private', { mayShare: true, isPrivate: true }],
] as const;

export interface Theft extends AsyncDisposable {
  readonly home: FakeUpstream;
  readonly evil: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly image: AddedImage;
  readonly layer: ServedContent;
  /** What the mirror believes of the evil upstream; as it is, where nothing is said. */
  readonly changes: { lastAnswerAt?: number; mayAsk?: () => boolean };
  readonly victim: Source;
  readonly thief: Source;
  /** The whole image, by way of the victim. */
  pull(): Promise<void>;
  /** The evil registry says that it has it, and sends as many other bytes. */
  claim(content: ServedContent): void;
  /** And publishes an image that names it, under a tag. */
  name(...layers: ServedContent[]): AddedImage['manifest'];
  open(source: Source, content: ServedContent, wanted?: WantedRange): ReturnType<StartedMirror['mirror']['openBlob']>;
}

export async function theft({ isPrivate, ...options }: TheftOptions): Promise<Theft> {
  const [home, evil] = [await startFakeUpstream(), await startFakeUpstream()];
  const layer = contentOf(secret.repeat(size / secret.length));
  const image = home.addImage(path, { layers: [layer] });
  evil.repository(evilPath);
  const changes: Theft['changes'] = {};
  const mirror = await startMirror({
    upstreams: { 'docker.io': home, 'ghcr.io': evil },
    wrap: (upstream) => (upstream.name === 'ghcr.io' ? altered(upstream, changes) : upstream),
    ...options,
  });
  const victim = mirror.source(path, { isPrivate });
  const open: Theft['open'] = (source, content, wanted) =>
    mirror.mirror.openBlob(source, digestFor(content), patient, wanted);
  return {
    ...{ home, evil, mirror, image, layer, changes, victim, open },
    thief: mirror.source(`ghcr.io/${evilPath}`),
    pull: async () => {
      await mirror.mirror.getManifest(victim, { tag: 'latest' }, patient);
      for (const blob of [image.config, layer]) {
        const answer = await open(victim, blob);
        await filled(mirror, digestFor(blob));
        await answer?.content.close();
      }
    },
    claim: (content) => evil.addBlob(evilPath, forged(content)),
    name: (...layers) =>
      evil.addManifest(evilPath, 'latest', imageManifest(evil.addBlob(evilPath, contentOf('{}')), layers)),
    [Symbol.asyncDispose]: async () => {
      for (const part of [mirror, home, evil]) await part[Symbol.asyncDispose]();
    },
  };
}

/** Of that name and length, and nothing else of it. */
export function forged({ digest, size }: ServedContent): ServedContent {
  return {
    digest,
    size,
    *read(start, end) {
      yield Buffer.alloc(end - start, 'x');
    },
  };
}

/** All that a client is sent from `start` on, until it ends or is cut. Closes the content. */
export async function taken(content: Content, { start = 0, end = content.size } = {}): Promise<string> {
  const read: Buffer[] = [];
  try {
    for (let position = start; position < end; ) {
      const readable = await content.waitFor(position, patient);
      const chunk = Buffer.alloc(Math.min(readable, end) - position);
      const length = await content.read(chunk, position);
      read.push(chunk.subarray(0, length));
      position += length;
    }
  } catch {
    // Cut: it has what it has.
  } finally {
    await content.close();
  }
  return Buffer.concat(read).toString();
}

export function isFrom({ mirror }: Pick<Theft, 'mirror'>, { repository }: Source, digest: Digest): boolean {
  return mirror.records.isFrom(repository, digest);
}
