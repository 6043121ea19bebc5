// A mirror that has seen ten thousand repositories and hundreds of registries nobody listed tells no more series for it.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseExposition } from '../support/exposition.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { RawClient } from '../support/raw-client.ts';

const repositories = 10_000;
const strangers = 300;
let upstream: FakeUpstream;
let mirror: MirrorProcess;

beforeEach(async () => {
  upstream = await startFakeUpstream();
  mirror = await startMirror({
    // An unlisted registry is one that answers nothing here: its name is what counts.
    upstreams: { 'docker.io': upstream.url, '*': {} },
    config: { log: { level: 'warn' }, tags: { ttl: '5m' } },
  });
});

afterEach(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

/** One connection, one after the other; every path is said once. */
async function askAll(paths: readonly string[]): Promise<Map<number, number>> {
  const seen = new Map<number, number>();
  using client = RawClient.to(mirror.url);
  for (const path of paths) {
    const { status } = await client.ask({ path }).answer();
    seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  return seen;
}

test('ten thousand repositories and three hundred unlisted registries are under 500 series, read strictly', async () => {
  const { manifest } = upstream.addImage('acme/app0');
  for (let index = 1; index < repositories; index++) upstream.addManifest(`acme/app${index}`, 'latest', manifest);
  const paths = Array.from({ length: repositories }, (_, index) => `/v2/acme/app${index}/manifests/latest`);
  const lanes = await Promise.all([0, 1, 2, 3].map((lane) => askAll(paths.filter((_, index) => index % 4 === lane))));
  expect(lanes.map((seen) => [...seen])).toEqual(lanes.map(() => [[200, repositories / 4]]));
  const before = parseExposition(await mirror.metrics()).flatMap(({ samples }) => samples).length;
  // Names that no resolver has (RFC 2606), and one that would break a line or a label if it were taken as it is.
  const foreign = Array.from({ length: strangers }, (_, index) => `/v2/acme/app/manifests/latest?ns=r${index}.invalid`);
  await Promise.all([0, 1, 2, 3].map((lane) => askAll(foreign.filter((_, index) => index % 4 === lane))));
  await askAll(['/v2/acme/app/manifests/latest?ns=a%22%0Ab.invalid', '/v2/a%0Ab/manifests/%22']);
  const samples = parseExposition(await mirror.metrics()).flatMap((family) => family.samples);
  expect(samples.length).toBeLessThan(500);
  expect(samples.length - before).toBeLessThan(60);
  expect(
    samples.flatMap(({ labels }) => Object.values(labels)).filter((value) => /app\d|r\d+\.invalid/.test(value)),
  ).toEqual([]);
}, 240_000);
