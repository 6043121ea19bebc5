// Entry of a child process: one image with one big generated layer, so that its CPU is not the test's.
// node test/support/fake-upstream-process.ts '{"size":1073741824,"bytesPerSecond":200000000}'

import { startFakeUpstream } from './fake-upstream.ts';
import { Gate } from './gate.ts';
import type { Exchange } from './recorded-server.ts';
import { contentOf, generateContent } from './served-content.ts';
import type { ChildUpstreamInfo, ChildUpstreamOptions } from './upstream-process.ts';

const options: ChildUpstreamOptions = JSON.parse(process.argv[2] ?? '{"size":1048576}');
const { size, seed = 1, repository = 'library/big', bytesPerSecond, flipByteAt, holdAfter } = options;

const layer = await generateContent({ size, seed });
const gate = new Gate();
const upstream = await startFakeUpstream({ intercept: control });
const { config, digest } = upstream.addImage(repository, { layers: [layer] });
upstream.faults.add(
  { method: 'GET', path: layer.digest },
  {
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    ...(flipByteAt !== undefined && { flipByteAt }),
    ...(holdAfter !== undefined && { holdBody: { after: holdAfter, gate } }),
  },
);
const info: ChildUpstreamInfo = {
  url: upstream.url,
  repository,
  manifest: digest,
  config: config.digest,
  layer: layer.digest,
};
process.stdout.write(`${JSON.stringify(info)}\n`);

async function control({ response, record }: Exchange): Promise<boolean> {
  if (record.kind !== 'other') return false;
  if (record.path === '/__open') gate.open();
  if (record.path === '/__mend') upstream.faults.clear();
  const blob = { method: 'GET', path: layer.digest };
  const stats = {
    blobGets: upstream.count(blob),
    bytesSent: upstream.server.bytesSent(blob),
    blobRequests: upstream.server.find(blob).map(({ status, bytesSent, headers }) => ({
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
