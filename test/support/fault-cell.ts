// One cell of the fault table: an upstream of its own in one situation, its fault, and what a client gets.

import { type AddedImage, type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type Answer, ask } from './fault-client.ts';
import { type FaultRow, layerBytes } from './fault-rows.ts';
import type { ActiveFault } from './faults.ts';
import { Gate } from './gate.ts';
import type { MirrorProcess } from './mirror-process.ts';
import { generateContent, type ServedContent } from './served-content.ts';

/** `fresh`: within its ttl. `old`: past it, and the tag has moved since. `half`: a killed mirror left it so. */
export const situations = ['tag fresh', 'tag old', 'tag missing', 'blob cached', 'blob half', 'blob missing'] as const;
export type Situation = (typeof situations)[number];

export type CellResult = {
  readonly row: FaultRow;
  readonly situation: Situation;
  /** Of the question itself: HEAD and GET of the tag, or GET of the layer. */
  readonly answers: readonly Answer[];
  /** What the upstream and its token server were asked until then, such as `1 HEAD` or `2 token`. */
  readonly saw: readonly string[];
  readonly upstreamBytes: number;
  /** Config and layers of the manifest that came, asked for afterwards. */
  readonly rest: readonly Answer[];
};

const path = 'acme/app';
const tag = 'latest';
/** Behind the first checkpoint of a spool's journal, so that a kill leaves something to go on from. */
const halfBytes = layerBytes / 2 + 256 * 1024;

export class FaultCell implements AsyncDisposable {
  readonly row: FaultRow;
  readonly situation: Situation;
  /** As clients write the registry. */
  readonly host: string;
  readonly upstream: FakeUpstream;
  readonly #images: AddedImage[];
  readonly #end = new Gate();
  #hold: ActiveFault | undefined;

  private constructor(
    row: FaultRow,
    situation: Situation,
    place: { host: string; upstream: FakeUpstream },
    first: AddedImage,
  ) {
    this.row = row;
    this.situation = situation;
    this.host = place.host;
    this.upstream = place.upstream;
    this.#images = [first];
  }

  /** `number` is this cell's alone: no two cells share a byte that matters. */
  static async start(row: FaultRow, situation: Situation, number: number): Promise<FaultCell> {
    const host = `cell-${number}.example`;
    const upstream = await startFakeUpstream(row.auth && { auth: row.auth });
    const isLarge = situation.startsWith('blob');
    const layer = isLarge ? await generateContent({ size: layerBytes, seed: 7000 + number }) : `layer of ${host}`;
    return new FaultCell(row, situation, { host, upstream }, upstream.addImage(path, { tag, layers: [layer] }));
  }

  /** What `upstreams` of the mirror's configuration says of it. */
  settings(endpoint = this.upstream.url): object {
    const { config, layerConfig } = this.row;
    return { endpoints: [endpoint], ...config, ...(this.situation.startsWith('blob') && layerConfig) };
  }

  /** How many blobs the mirror has of it before the fault. */
  get warmBlobs(): number {
    if (this.situation === 'tag missing') return 0;
    return this.situation === 'blob half' || this.situation === 'blob missing' ? 1 : 3;
  }

  async warm(mirror: MirrorProcess): Promise<void> {
    if (this.warmBlobs > 0) isFine(await ask({ url: this.#manifest(mirror), contents: this.#manifests }));
    if (this.warmBlobs < 3) return;
    for (const content of this.#parts) isFine(await ask({ url: this.#blob(mirror, content), contents: [content] }));
  }

  /** The layer begins to arrive and stops half way; settles when that many bytes are with the mirror. */
  async beginHalf(mirror: MirrorProcess): Promise<void> {
    const { layer } = this;
    const holdBody = { after: halfBytes, gate: this.#end };
    this.#hold = this.upstream.faults.add({ method: 'GET', path: layer.digest }, { holdBody });
    void ask({ url: this.#blob(mirror, layer), contents: [layer] });
    await this.#end.reached;
  }

  /** A question that caches nothing, so that the mirror has a connection and, where one is wanted, a token. */
  async greet(mirror: MirrorProcess): Promise<void> {
    const { status } = await ask({ url: `${this.#base(mirror)}/tags/list`, contents: [] });
    if (status !== 200) throw new Error(`the tags of ${this.host} did not come: ${status}`);
  }

  async bring(): Promise<void> {
    this.#hold?.remove();
    if (this.situation === 'tag old')
      this.#images.push(this.upstream.addImage(path, { tag, layers: [`moved ${this.host}`] }));
    const scene = { upstream: this.upstream, scope: `repository:${path}:pull`, end: this.#end };
    await this.row.bring?.(scene);
  }

  async ask(mirror: MirrorProcess): Promise<CellResult> {
    const { row, situation, upstream } = this;
    const before = { upstream: upstream.requests.length, tokens: upstream.tokens?.requests.length };
    const bytesBefore = upstream.bytesSent('blob');
    const answers = situation.startsWith('tag') ? await this.#askTag(mirror) : [await this.#askLayer(mirror)];
    const asked = upstream.requests.slice(before.upstream).map(({ method }) => method);
    const tokens = (upstream.tokens?.requests.slice(before.tokens) ?? []).map(() => 'token');
    const saw = counted([...asked, ...tokens]);
    const upstreamBytes = upstream.bytesSent('blob') - bytesBefore;
    return { row, situation, answers, saw, upstreamBytes, rest: await this.#askRest(mirror, answers.at(-1)) };
  }

  get layer(): ServedContent {
    const [layer] = this.#images[0]?.layers ?? [];
    if (layer === undefined) throw new Error(`the image of ${this.host} has no layer`);
    return layer;
  }

  get #manifests(): ServedContent[] {
    return this.#images.map(({ manifest }) => manifest.content);
  }

  get #parts(): ServedContent[] {
    return this.#images.flatMap(({ config, layers }) => [config, ...layers]);
  }

  async #askTag(mirror: MirrorProcess): Promise<Answer[]> {
    const question = { url: this.#manifest(mirror), contents: this.#manifests };
    return [await ask({ ...question, method: 'HEAD' }), await ask(question)];
  }

  #askLayer(mirror: MirrorProcess): Promise<Answer> {
    return ask({ url: this.#blob(mirror, this.layer), contents: [this.layer] });
  }

  async #askRest(mirror: MirrorProcess, answer: Answer | undefined): Promise<Answer[]> {
    const digest = answer?.status === 200 ? answer.headers['docker-content-digest'] : undefined;
    const image = this.#images.find(({ manifest }) => manifest.content.digest === digest);
    if (image === undefined) return [];
    const parts = [image.config, ...image.layers];
    return await Promise.all(parts.map((part) => ask({ url: this.#blob(mirror, part), contents: [part] })));
  }

  #base({ url }: MirrorProcess): string {
    return `${url}/v2/${this.host}/${path}`;
  }

  #manifest(mirror: MirrorProcess): string {
    return `${this.#base(mirror)}/manifests/${tag}`;
  }

  #blob(mirror: MirrorProcess, { digest }: ServedContent): string {
    return `${this.#base(mirror)}/blobs/${digest}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.open();
    await this.upstream[Symbol.asyncDispose]();
  }
}

function isFine({ status, isTrue, isComplete, text }: Answer): void {
  if (status !== 200 || !isTrue || !isComplete) throw new Error(`the cache cannot be warmed: ${status} ${text}`);
}

function counted(words: readonly string[]): string[] {
  return [...new Set(words)].map((word) => `${words.filter((other) => other === word).length} ${word}`);
}
