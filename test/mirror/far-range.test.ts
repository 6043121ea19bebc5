// A reader far ahead in a blob that is not here: its bytes come first, and the rest behind it.
import { describe, expect, test, vi } from 'vitest';
import type { BlobAnswer } from '../../src/mirror/blobs.ts';
import { wantedRange } from '../../src/oci/byte-range.ts';
import { manifestOf, mediaTypes } from '../support/fake-image.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { type FillScene, name, scene } from './fill-scene.ts';
import { digestFor, filled, patient } from './start-mirror.ts';

const MiB = 1024 * 1024;
const size = 20 * MiB;

const ranges = (at: FillScene) => at.upstream.requests.map(({ headers }) => headers.range);

async function expectBytes(at: FillScene, answer: BlobAnswer | undefined, start: number, end: number): Promise<void> {
  const { content } = answer ?? {};
  const read = Buffer.alloc(end - start);
  for (let done = 0; content && done < read.length; ) {
    const here = (await content.waitFor(start + done, patient)) - start;
    done += await content.read(read.subarray(done, Math.min(here, done + 64 * 1024)), start + done);
  }
  await content?.close();
  expect(read.equals(Buffer.concat([...at.blob.read(start, end)]))).toBe(true);
}

async function expectFilled(at: FillScene): Promise<void> {
  expect(await filled(at.mirror, digestFor(at.blob))).toBeUndefined();
  expect(await lyingFiles(at.mirror.dir)).toEqual([]);
  expect(at.mirror.records.blob(digestFor(at.blob))?.size).toBe(size);
  expect(at.upstream.bytesSent('blob')).toBe(size);
}

describe('the first reader of a blob', () => {
  test('who begins far ahead is asked for first', async () => {
    await using at = await scene({ size });
    const answer = await at.open(at.blob, wantedRange(`bytes=${18 * MiB}-`));
    expect(ranges(at)[0]).toBe(`bytes=${18 * MiB}-${26 * MiB - 1}`);
    await expectBytes(at, answer, 18 * MiB, 19 * MiB);
    await expectFilled(at);
  });

  test('has bytes before those in front of it have come', async () => {
    await using at = await scene({ size });
    const [gate, open] = [new Gate(), new Gate()];
    open.open();
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { holdHeaders: open });
    const answer = await at.open(at.blob, wantedRange(`bytes=${18 * MiB}-${18 * MiB + 4}`));
    await expectBytes(at, answer, 18 * MiB, 18 * MiB + 5);
    gate.open();
    await expectFilled(at);
  });

  test('who begins near waits for the little in front', async () => {
    await using at = await scene({ size });
    const answer = await at.open(at.blob, wantedRange(`bytes=${MiB - 1}-`));
    expect(ranges(at)[0]).toBe(`bytes=0-${8 * MiB - 1}`);
    await expectBytes(at, answer, MiB - 1, MiB + 1);
    await expectFilled(at);
  });

  test('who begins behind the end costs one question more', async () => {
    await using at = await scene({ size });
    const answer = await at.open(at.blob, wantedRange(`bytes=${30 * MiB}-`));
    expect(answer?.content.size).toBe(size);
    await answer?.content.close();
    expect(ranges(at).slice(0, 2)).toEqual([`bytes=${30 * MiB}-${38 * MiB - 1}`, undefined]);
    await expectFilled(at);
  });

  test('who begins behind the end that a manifest told costs none', async () => {
    await using at = await scene({ size });
    const config = { mediaType: mediaTypes.ociConfig, digest: contentOf('{}').digest, size: 2 };
    const layers = [{ mediaType: mediaTypes.ociLayer, digest: at.blob.digest, size }];
    at.upstream.addManifest(name, 'latest', manifestOf(mediaTypes.ociManifest, { schemaVersion: 2, config, layers }));
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    at.upstream.server.forget();
    const answer = await at.open(at.blob, wantedRange(`bytes=${30 * MiB}-`));
    expect(ranges(at)[0]).toBe(`bytes=0-${8 * MiB - 1}`);
    await answer?.content.close();
    await expectFilled(at);
  });
});

test('readers everywhere, who come and go, cost no byte twice', async () => {
  await using at = await scene({ size });
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 0, gate } });
  const first = await at.open();
  const readers = await Promise.all(
    Array.from({ length: 16 }, async (_, index) => {
      const start = index * MiB + 77;
      return { start, answer: await at.open(at.blob, wantedRange(`bytes=${start}-`)) };
    }),
  );
  const reading = readers.map(({ start, answer }) => expectBytes(at, answer, start, start + MiB / 2));
  await vi.waitUntil(() => gate.arrivals >= 3);
  gate.open();
  await Promise.all(reading);
  await expectBytes(at, first, 0, size);
  await expectFilled(at);
});
