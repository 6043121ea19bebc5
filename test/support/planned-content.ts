// Content that two processes make from the same few words, so that neither has to send it to the other.
import { createHash, type Hash } from 'node:crypto';
import { type GeneratedOptions, generateContent, type ServedContent, unhashedContent } from './served-content.ts';

export type ContentPlan = GeneratedOptions & {
  /**
   * `plain` bytes (the default); a `tar` of one incompressible file of about that size, so that it can be unpacked;
   * a `crumb`, which differs from others of its size in its last bytes only and whose digest costs next to nothing.
   */
  readonly kind?: 'plain' | 'tar' | 'crumb';
};

/** With a `digest` known from elsewhere nothing is hashed. */
export async function contentFromPlan(plan: ContentPlan, digest?: string): Promise<ServedContent> {
  if (plan.kind === 'crumb') return crumb(plan);
  const plain = digest === undefined && plan.kind !== 'tar' ? await generateContent(plan) : unhashedContent(plan);
  if (plan.kind !== 'tar') return digest === undefined ? plain : withDigest(plain, digest);
  const parts = tarParts(plain, plan);
  return withDigest(parts, digest ?? (await digestOf(parts)));
}

type Part = Pick<ServedContent, 'size' | 'read'>;

function withDigest(part: Part, digest: string): ServedContent {
  return { size: part.size, digest, read: (start, end) => part.read(start, end) };
}

async function digestOf(content: Part): Promise<string> {
  const hash = createHash('sha256');
  for (const piece of content.read(0, content.size)) {
    hash.update(piece);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return `sha256:${hash.digest('hex')}`;
}

const crumbFamilies = 16;
const tailBytes = 16;
const heads = new Map<string, { readonly bytes: Buffer; readonly hash: Hash }>();

function crumb({ size, seed }: ContentPlan): ServedContent {
  const family = seed % crumbFamilies;
  const key = `${size} ${family}`;
  const head = heads.get(key) ?? crumbHead(size, family);
  heads.set(key, head);
  const tail = Buffer.alloc(tailBytes);
  tail.writeUInt32BE(seed >>> 0, tailBytes - 4);
  const digest = `sha256:${head.hash.copy().update(tail).digest('hex')}`;
  return { size, digest, read: concatenated([heldBytes(head.bytes), heldBytes(tail)]) };
}

function crumbHead(size: number, family: number) {
  const plain = unhashedContent({ size: size - tailBytes, seed: family });
  const bytes = Buffer.concat([...plain.read(0, plain.size)]);
  return { bytes, hash: createHash('sha256').update(bytes) };
}

const tarBlock = 512;

function tarParts(file: ServedContent, { seed }: ContentPlan): Part {
  const padding = (tarBlock - (file.size % tarBlock)) % tarBlock;
  const parts = [heldBytes(tarHeader(`ballast-${seed}`, file.size)), file, heldBytes(Buffer.alloc(padding + 1024))];
  return { size: parts.reduce((sum, part) => sum + part.size, 0), read: concatenated(parts) };
}

/** POSIX ustar, one regular file of root's. */
function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(tarBlock);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(name, 0);
  header.write(`${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(size, 11)}\0${octal(0, 11)}\0`, 100);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}

function heldBytes(bytes: Buffer): Part {
  return {
    size: bytes.length,
    *read(start, end) {
      if (start < end) yield bytes.subarray(start, end);
    },
  };
}

function concatenated(parts: readonly Part[]): ServedContent['read'] {
  return function* read(start, end) {
    let offset = 0;
    for (const part of parts) {
      const from = Math.max(0, start - offset);
      const to = Math.min(part.size, end - offset);
      if (from < to) yield* part.read(from, to);
      offset += part.size;
    }
  };
}
