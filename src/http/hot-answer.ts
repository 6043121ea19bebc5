// What of a manifest or a stored blob is sent again: its head for who asks now, and where its bytes are.
import type { IncomingMessage } from 'node:http';
import type { Lasting, LastingBlob } from '../mirror/lasting.ts';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Content } from '../store/content.ts';
import { blobHead } from './blob-head.ts';
import { manifestHead } from './manifests.ts';

export interface HotAnswer {
  readonly lasting: Lasting;
  /** Whether a HEAD counts as a use, as it does where the mirror is asked. */
  readonly isUsedByHead: boolean;
  /** `undefined` where the bytes are neither in memory nor open. */
  prepare(incoming: IncomingMessage): Prepared | undefined;
}

export interface Prepared {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a GET; `undefined` where no body follows, or content does. */
  readonly body?: Uint8Array | undefined;
  /** Whoever prepared it closes the content. */
  readonly content?: { readonly content: Content; readonly range: ByteRange } | undefined;
}

export interface KeptManifest {
  readonly descriptor: Descriptor;
  readonly lasting: Lasting;
}

export interface KeptBlob {
  readonly digest: Digest;
  readonly lasting: LastingBlob;
}

/** `fields` stand in every head. */
export function hotManifest({ descriptor, lasting }: KeptManifest, fields: Record<string, string>): HotAnswer {
  const whole = { ...manifestHead({}, descriptor, 'hit').headers, ...fields };
  return {
    lasting,
    isUsedByHead: true,
    prepare: ({ method, headers: asked }) => {
      const bytes = lasting.bytes();
      if (!bytes) return undefined;
      const body = method === 'GET' ? bytes : undefined;
      if (asked['if-none-match'] === undefined) return { status: 200, headers: whole, body };
      const { status, headers } = manifestHead(asked, descriptor, 'hit');
      return { status, headers: { ...headers, ...fields }, body: status === 200 ? body : undefined };
    },
  };
}

export function hotBlob({ digest, lasting }: KeptBlob, fields: Record<string, string>): HotAnswer {
  const sent = { digest, size: lasting.size, outcome: 'hit' } as const;
  const { headers, ...plain } = blobHead({}, sent);
  const whole = { ...plain, headers: { ...headers, ...fields } };
  const headOf = ({ headers: asked }: IncomingMessage) => {
    if (asked['if-none-match'] === undefined && asked.range === undefined) return whole;
    const head = blobHead(asked, sent);
    return { ...head, headers: { ...head.headers, ...fields } };
  };
  return {
    lasting,
    isUsedByHead: false,
    prepare: (incoming) => {
      const bytes = lasting.bytes();
      const content = bytes ? undefined : lasting.content();
      if (!bytes && !content) return undefined;
      const { status, headers, range } = headOf(incoming);
      const isBody = range !== undefined && incoming.method === 'GET';
      if (!content) return { status, headers, body: isBody ? bytes?.subarray(range.start, range.end + 1) : undefined };
      if (isBody) return { status, headers, content: { content, range } };
      void content.close();
      return { status, headers };
    },
  };
}
