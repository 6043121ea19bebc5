// Entry of a child process: images with generated layers, so that their CPU is not the test's.
// node test/support/fake-upstream-process.ts FILE, which holds {"size":1073741824,"bytesPerSecond":200000000}

import { readFileSync } from 'node:fs';
import { startFakeUpstream } from './fake-upstream.ts';
import type { FaultEffect } from './faults.ts';
import { Gate } from './gate.ts';
import { contentFromPlan } from './planned-content.ts';
import type { Exchange } from './recorded-server.ts';
import { contentOf, type ServedContent } from './served-content.ts';
import type { ChildImage, ChildUpstreamInfo, ChildUpstreamOptions, PlannedImage, Shape } from './upstream-process.ts';

const options: ChildUpstreamOptions = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const { size = 1024 * 1024, seed = 1, repository = 'library/big', images: planned, holdAfter, ...firstShape } = options;
const shownRequests = 200;

const gate = new Gate();
const upstream = await startFakeUpstream({ intercept: control });
const images: ChildImage[] = [];
for (const plan of planned ?? [{ repository, layers: [{ size, seed }] }]) images.push(await addImage(plan));
const layers = new Set(images.flatMap((image) => image.layers.map(({ digest }) => digest)));
shapeAs(firstShape, holdAfter === undefined ? {} : { holdBody: { after: holdAfter, gate } });

const [first] = images;
if (first === undefined) throw new Error('no images were planned');
const info: ChildUpstreamInfo = {
  url: upstream.url,
  images,
  repository: first.repository,
  manifest: first.manifest,
  config: first.config,
  layer: first.layers[0]?.digest ?? '',
};
process.stdout.write(`${JSON.stringify(info)}\n`);

async function addImage({ repository, tag = 'latest', layers: plans }: PlannedImage): Promise<ChildImage> {
  const contents: ServedContent[] = [];
  for (const plan of plans) contents.push(await contentFromPlan(plan));
  const { config, digest, manifest } = upstream.addImage(repository, { tag, layers: contents });
  return {
    repository,
    tag,
    manifest: digest,
    manifestSize: manifest.content.size,
    config: config.digest,
    layers: plans.map((plan, index) => ({
      plan,
      digest: contents[index]?.digest ?? '',
      size: contents[index]?.size ?? 0,
    })),
  };
}

function isLayer(path: string): boolean {
  return layers.has(path.split('/').at(-1) ?? '');
}

/** Round trips are everything's, the rest is the layers' alone. */
function shapeAs({ delayMs = 0, connectDelayMs = 0, ...shape }: Shape, hold: FaultEffect = {}): void {
  upstream.faults.clear();
  upstream.faults.add({ path: /^\/v2\// }, { delayMs, connectDelayMs });
  upstream.faults.add({ method: 'GET', kind: 'blob', path: /\/blobs\// }, { ...shape, ...hold });
}

async function control({ response, record, url }: Exchange): Promise<boolean> {
  if (record.kind !== 'other') return false;
  if (record.path === '/__open') gate.open();
  if (record.path === '/__idle') upstream.server.closeIdleConnections();
  if (record.path === '/__mend') upstream.faults.clear();
  if (url.pathname === '/__shape') shapeAs(JSON.parse(url.searchParams.get('shape') ?? '{}'));
  const requests = upstream.requests.filter(({ method, path }) => method === 'GET' && isLayer(path));
  const stats = {
    blobGets: requests.length,
    bytesSent: requests.reduce((sum, request) => sum + request.bytesSent, 0),
    blobRequests: requests.slice(-shownRequests).map(({ status, bytesSent, headers }) => ({
      status,
      bytesSent,
      range: headers.range ?? null,
    })),
    gateArrivals: gate.arrivals,
  };
  const body = JSON.stringify(stats);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': contentOf(body).size }).end(body);
  return true;
}
