// A mirror that has an image, every kind of request for it, and what the answer to each one is.
import { expect } from 'vitest';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type MirrorOptions, type MirrorProcess, startMirror } from './mirror-process.ts';
import { committed } from './pulled-image.ts';
import { type Expected, type RawAnswer, RawClient, type RawRequest } from './raw-client.ts';
import { contentOf, generateContent, type ServedContent } from './served-content.ts';

export const repository = 'library/app';
const layerSizes = [1, 3000, 65_536, 65_537, 300_000, 3 * 1024 * 1024];

export type Known = RawRequest & Expected & { readonly name: string; readonly status: number };

export class ServingScene implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  readonly image: AddedImage;

  private constructor(upstream: FakeUpstream, mirror: MirrorProcess, image: AddedImage) {
    this.upstream = upstream;
    this.mirror = mirror;
    this.image = image;
  }

  /** All of the image is stored. */
  static async start({ config }: Pick<MirrorOptions, 'config'> = {}): Promise<ServingScene> {
    const upstream = await startFakeUpstream();
    const layers = await Promise.all(layerSizes.map((size, seed) => generateContent({ size, seed })));
    const image = upstream.addImage(repository, { layers });
    const mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, ...(config && { config }) });
    const scene = new ServingScene(upstream, mirror, image);
    for (const known of scene.known) await scene.alone(known);
    for (const layer of layers) await committed(mirror, layer.digest);
    return scene;
  }

  get layers(): readonly ServedContent[] {
    return this.image.layers;
  }

  /** On a connection of its own, which ends with the answer. */
  async alone({ name, status, ...known }: Known): Promise<RawAnswer> {
    using client = RawClient.to(this.mirror.url);
    client.ask({ ...known, headers: { ...known.headers, Connection: 'close' } });
    const answer = await client.answer(known);
    expect({ name, ...answer }).toMatchObject({ name, status, isTrue: true, isComplete: true });
    expect(await client.untilClosed()).toHaveLength(0);
    return answer;
  }

  get known(): readonly Known[] {
    const { manifest, digest, config } = this.image;
    const base = `/v2/${repository}`;
    const content = manifest.content;
    const unknown = `sha256:${'0'.repeat(64)}`;
    const gone = contentOf('');
    return [
      ...bothWays({ name: 'manifest by tag', path: `${base}/manifests/latest`, content, status: 200 }),
      ...bothWays({ name: 'manifest by digest', path: `${base}/manifests/${digest}`, content, status: 200 }),
      ...bothWays({ name: 'manifest by ?ns=', path: `${base}/manifests/latest?ns=docker.io`, content, status: 200 }),
      ...unchanged({ name: 'manifest', path: `${base}/manifests/latest`, content, status: 200 }, digest),
      ...[config, ...this.layers].flatMap((blob) => blobRequests(`${base}/blobs/${blob.digest}`, blob)),
      ...bothWays({ name: 'no such tag', path: `${base}/manifests/nothing`, status: 404 }),
      ...bothWays({ name: 'no such manifest', path: `${base}/manifests/${unknown}`, status: 404 }),
      ...bothWays({ name: 'no such blob', path: `${base}/blobs/${gone.digest}`, status: 404 }),
      { name: 'no digest', path: `${base}/blobs/latest`, status: 400 },
      { name: 'an upload', method: 'POST', path: `${base}/blobs/uploads/`, status: 405 },
      { name: 'a deletion', method: 'DELETE', path: `${base}/manifests/latest`, status: 405 },
      { name: 'ping', path: '/v2/', status: 200 },
      { name: 'tags', path: `${base}/tags/list`, status: 200 },
      { name: 'nothing', path: '/elsewhere', status: 404 },
      { name: 'another registry', path: '/v2/unknown.test/app/manifests/latest', status: 404 },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
  }
}

function bothWays(known: Known): Known[] {
  return [known, { ...known, name: `HEAD ${known.name}`, method: 'HEAD' }];
}

function unchanged(known: Known, digest: string): Known[] {
  const named = (name: string, tag: string) => ({ name: `${known.name} ${name}`, headers: { 'If-None-Match': tag } });
  return [
    ...bothWays({ ...known, ...named('unchanged', `"${digest}"`), status: 304 }),
    { ...known, ...named('changed', '"sha256:other"') },
  ];
}

function blobRequests(path: string, content: ServedContent): Known[] {
  const { size, digest } = content;
  const whole = { name: `blob of ${size}`, path, content, status: 200 };
  const middle = Math.floor(size / 2);
  const ranged = (range: string, start: number, status = 206): Known[] =>
    bothWays({ ...whole, name: `${whole.name}, ${range}`, headers: { Range: range }, start, status });
  return [
    ...bothWays(whole),
    ...unchanged(whole, digest),
    ...ranged('bytes=0-0', 0),
    ...ranged(`bytes=${middle}-`, middle),
    ...ranged(`bytes=${Math.floor(size / 3)}-${middle}`, Math.floor(size / 3)),
    ...ranged(`bytes=-${size - middle}`, middle),
    ...ranged(`bytes=${size - 1}-${2 * size}`, size - 1),
    ...ranged(`bytes=${size}-`, 0, 416),
    ...ranged('bytes=0-0,2-3', 0, 200),
  ];
}

/** An answer without what is said of its connection and its moment. */
export function lasting({ headers, ...answer }: RawAnswer): RawAnswer {
  const ofConnection = ['date', 'connection', 'keep-alive'];
  return {
    ...answer,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.includes(name))),
  };
}
