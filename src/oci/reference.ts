// What comes after `/manifests/`: a tag or a digest.
import { type Digest, parseDigest } from './digest.ts';

export type Reference = { readonly tag: string } | { readonly digest: Digest };

const tagForm = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export function isTag(text: string): boolean {
  return tagForm.test(text);
}

/** `undefined` when the text is neither: a tag holds no colon, so nothing is both. */
export function parseReference(text: string): Reference | undefined {
  if (isTag(text)) return { tag: text };
  const digest = parseDigest(text);
  return digest && { digest };
}

export function formatReference(reference: Reference): string {
  return 'tag' in reference ? reference.tag : reference.digest;
}
