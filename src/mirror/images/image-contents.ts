// All that an image is made of: its manifests, what they name, and what refers to it and has no other name.
import type { Digest } from '../../oci/digest.ts';
import type { ManifestChildren } from '../../oci/manifest.ts';

export interface ContentsOptions {
  /** `undefined` of what is no manifest, or is not here. */
  readonly childrenOf: (digest: Digest) => Promise<ManifestChildren | undefined>;
  /** What would be gone for everybody without that manifest: its signatures that have no tag. */
  readonly referrersOf: (digest: Digest) => readonly Digest[];
}

/** Each digest once, a manifest before what it names; those of `seen` not, nor what only they lead to. */
export async function* contentsOf(
  roots: Iterable<Digest>,
  { childrenOf, referrersOf }: ContentsOptions,
  seen = new Set<Digest>(),
): AsyncGenerator<Digest> {
  const next = new Set<Digest>(roots);
  for (const digest of next) {
    if (seen.has(digest)) continue;
    seen.add(digest);
    yield digest;
    const children = await childrenOf(digest);
    if (!children) continue;
    for (const { digest: child } of children.manifests) next.add(child);
    for (const referrer of referrersOf(digest)) next.add(referrer);
    for (const { digest: blob } of children.blobs) {
      if (!seen.has(blob)) yield blob;
      seen.add(blob);
    }
  }
}
