// A pull as clients do it, without a client: the tag, the image of an index, every blob, each held against its digest.
import { sha256 } from './served-content.ts';

export type Answer = {
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly totalMs: number;
};

export type AskOptions = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Hears every answer, also of a pull that fails. */
  readonly onAnswer?: (answer: Answer) => void;
};

export type WholePull = {
  /** Of the manifest that the reference names. */
  readonly digest: string;
  /** Of every manifest and blob, in the order they came. */
  readonly digests: readonly string[];
  readonly totalMs: number;
};

type Manifest = {
  readonly manifests?: readonly { readonly digest: string }[];
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
};

export class PullFailed extends Error {
  readonly status: number;

  constructor({ path, status, body }: Answer, why = body.toString().slice(0, 500)) {
    super(`the pull failed: ${path}: ${status} ${why}`);
    this.status = status;
  }
}

export async function ask(registryUrl: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, onAnswer } = options;
  const startedAt = performance.now();
  const answer = await fetch(`${registryUrl}${path}`, { method, headers });
  const body = Buffer.from(await answer.arrayBuffer());
  const told = { path, status: answer.status, headers: answer.headers, body, totalMs: performance.now() - startedAt };
  onAnswer?.(told);
  return told;
}

/** `image` is `REPOSITORY:TAG` or `REPOSITORY@DIGEST`, with a registry before it or not. Throws at the first thing amiss. */
export async function pullWhole(registryUrl: string, image: string, options: AskOptions = {}): Promise<WholePull> {
  const startedAt = performance.now();
  const [repository = '', reference = ''] = image.includes('@') ? image.split('@') : splitTag(image);
  const base = `/v2/${repository}`;
  const digests: string[] = [];
  const fetched = async (path: string, digest?: string) => {
    const answer = await ask(registryUrl, path, options);
    if (answer.status !== 200) throw new PullFailed(answer);
    const real = sha256(answer.body);
    const promised = digest ?? answer.headers.get('docker-content-digest');
    if (real !== promised) throw new PullFailed(answer, `holds ${real} and not ${promised}`);
    digests.push(real);
    return answer.body;
  };
  const top = JSON.parse((await fetched(`${base}/manifests/${reference}`)).toString()) as Manifest;
  const [digest = ''] = digests;
  const child = top.manifests?.[0]?.digest;
  const manifest =
    child === undefined
      ? top
      : (JSON.parse((await fetched(`${base}/manifests/${child}`, child)).toString()) as Manifest);
  const blobs = [...(manifest.config ? [manifest.config] : []), ...(manifest.layers ?? [])];
  await Promise.all(blobs.map((blob) => fetched(`${base}/blobs/${blob.digest}`, blob.digest)));
  return { digest, digests, totalMs: performance.now() - startedAt };
}

function splitTag(image: string): [string, string] {
  const colon = image.lastIndexOf(':');
  return [image.slice(0, colon), image.slice(colon + 1)];
}
