// A test pull through the mirror: manifest, config and layers, every byte read and hashed as a client would.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { arch } from 'node:os';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, digestAlgorithm, digestEncoded, digestOf, parseDigest } from '../../oci/digest.ts';
import { type NamedImage, parseImageName } from '../../oci/image-name.ts';
import { manifestChildren, manifestMediaType } from '../../oci/manifest.ts';
import { manifestAccept } from '../../oci/media-types.ts';
import { isSamePlatform } from '../../oci/platform.ts';
import { formatReference } from '../../oci/reference.ts';
import { ask, open, type Place, whyNot } from './ask.ts';
import { type Finding, one } from './finding.ts';

interface Pull {
  readonly registry: Place;
  readonly image: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Something to tell the operator of, in place of a bug of ours. */
class PullFailure extends Error {}

const check = 'test pull';

export async function tryPull(
  registry: Place,
  image: string | undefined,
  { isUp, signal }: { isUp: boolean; signal: AbortSignal },
): Promise<readonly Finding[]> {
  if (image === undefined) return one({ check, mark: 'skip', what: 'give --image IMAGE for one' });
  if (!isUp) return one({ check, mark: 'skip', what: 'the mirror is not up' });
  const { name, reference } = parseImageName(image);
  const since = performance.now();
  try {
    return one(await pull({ registry, image, path: `/v2/${name}`, signal }, reference, since));
  } catch (error) {
    if (error instanceof NeedsLogin) return one({ check, mark: 'skip', what: error.message });
    const what = error instanceof PullFailure ? error.message : `${image}: it broke off: ${whyNot(error)}`;
    return one({
      check,
      mark: 'fail',
      what,
      remedy: 'the log of the mirror has a line for each request, with its outcome',
    });
  }
}

class NeedsLogin extends Error {}

async function pull(pulled: Pull, reference: NamedImage['reference'], since: number): Promise<Finding> {
  const { image, signal } = pulled;
  let manifest = await fetchManifest(
    pulled,
    formatReference(reference),
    'digest' in reference ? reference.digest : undefined,
  );
  const child = childFor(manifest);
  if (child) manifest = await fetchManifest(pulled, child, child);
  const blobs = [...manifest.blobs].sort((first, second) => first.size - second.size);
  let [done, bytes] = [0, 0];
  for (const blob of blobs) {
    try {
      bytes += await readBlob(pulled, blob);
    } catch (error) {
      if (!signal.aborted) throw error;
      const what = `${image}: ${done} of ${blobs.length} blobs came whole and right before the time for this was over`;
      return { check, mark: 'warn', what, remedy: 'try a smaller image, or this one again: what came is kept' };
    }
    done += 1;
  }
  const seconds = (performance.now() - since) / 1000;
  const speed = `${(bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(1)} s`;
  return { check, mark: 'ok', what: `${image}: ${done} blobs, ${speed}, every digest right (${manifest.cacheStatus})` };
}

async function fetchManifest({ registry, image, path, signal }: Pull, reference: string, wanted: Digest | undefined) {
  const target = `${path}/manifests/${reference}`;
  const { status, headers, body } = await ask(registry, target, { signal, headers: { accept: manifestAccept } });
  if (status === 401)
    throw new NeedsLogin(`${image}: the mirror asks for credentials (access.anonymous), and doctor has none`);
  if (status !== 200)
    throw new PullFailure(`${image}: the mirror answered ${status} for its manifest: ${messageIn(body)}`);
  const digest = wanted ?? parseDigest(String(headers['docker-content-digest']));
  if (!digest || digestOf(body, digestAlgorithm(digest)) !== digest)
    throw new PullFailure(`${image}: its manifest does not hash to ${digest ?? 'a digest that was told with it'}`);
  const mediaType = manifestMediaType(headers['content-type'] ?? '') ?? '';
  return { ...manifestChildren(body, mediaType), cacheStatus: headers['cache-status'] ?? 'no Cache-Status' };
}

/** What runs here, or else the first that runs anywhere; `undefined`: it is the image itself. */
function childFor({ manifests, platforms, attestations }: ReturnType<typeof manifestChildren>): Digest | undefined {
  const own = { os: 'linux', architecture: arch() === 'x64' ? 'amd64' : arch() };
  const images = manifests.filter(({ digest }) => !attestations.has(digest));
  const isOwn = ({ digest }: Descriptor) => {
    const platform = platforms.get(digest);
    return platform !== undefined && isSamePlatform(platform, own);
  };
  return (images.find(isOwn) ?? images[0])?.digest;
}

async function readBlob({ registry, image, path, signal }: Pull, { digest, size }: Descriptor): Promise<number> {
  const response: IncomingMessage = await open(registry, `${path}/blobs/${digest}`, { signal });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new PullFailure(`${image}: the mirror answered ${response.statusCode} for ${digest}`);
  }
  const hash = createHash(digestAlgorithm(digest));
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    hash.update(piece);
    length += piece.length;
    if (length > size) break;
  }
  if (length !== size) throw new PullFailure(`${image}: ${digest} came with ${length} bytes of ${size}`);
  if (hash.digest('hex') !== digestEncoded(digest))
    throw new PullFailure(`${image}: what came for ${digest} is not it`);
  return length;
}

function messageIn(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString()) as { errors: { message: string }[] };
    return errors.map(({ message }) => message).join(', ');
  } catch {
    return 'no reason was given';
  }
}
