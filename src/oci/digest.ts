// The content address: `algorithm:encoded`, parsed against the table of algorithms the image-spec registers.
import { createHash } from 'node:crypto';

declare const brand: unique symbol;

/** A syntactically valid digest. Made only by `parseDigest` and `digestOf`. */
export type Digest = string & { readonly [brand]: 'Digest' };

export type DigestAlgorithm = 'sha256' | 'sha512';

// https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms
const encodedForm: ReadonlyMap<string, RegExp> = new Map<DigestAlgorithm, RegExp>([
  ['sha256', /^[a-f0-9]{64}$/],
  ['sha512', /^[a-f0-9]{128}$/],
]);

/** `undefined` when the text is not a digest of a registered algorithm. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(':');
  const form = encodedForm.get(text.slice(0, colon));
  return form?.test(text.slice(colon + 1)) ? (text as Digest) : undefined;
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
}

/** The part after the colon: safe as a file name, because the grammar allows lower-case hexadecimal only. */
export function digestEncoded(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** For small content only: it hashes on the calling thread. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}
