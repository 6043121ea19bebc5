// A range far ahead of everything that has come: it is fetched first, and the rest of the blob fills behind it.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startMirror } from '../support/mirror-process.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { tell } from '../support/tell.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;
const size = 1024 * mebibyte;
const start = 900 * mebibyte;
const length = mebibyte;
const bytesPerSecond = 20e6;
const rttMs = 40;
// Two round trips (a new connection's handshake, then the request) and the bytes themselves.
const promisedMs = 2 * rttMs + (length / bytesPerSecond) * 1000;
/** For timers, the event loops of three processes and the pacing of the fake, on a machine of two busy cores. */
const schedulingMs = 100;

describe('a range of 1 MiB at 900 MiB of a cold blob of 1 GiB', { timeout: 120_000 }, () => {
  test('comes within two round trips and its own transfer, and the rest fills behind it', async () => {
    const images = [
      { repository: 'library/warm', layers: [{ size: 4 * mebibyte, seed: 51 }] },
      { repository: 'library/far', layers: [{ size, seed: 52 }] },
    ];
    const shape = { delayMs: rttMs, connectDelayMs: rttMs, bytesPerSecond };
    await using upstream = await UpstreamProcess.start({ images, ...shape });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    // Code that never ran is no part of the promise.
    const [first = ''] = await pullManifest(mirror, upstream.image(0));
    expect(await new BlobClient(first, { content: await upstream.content(0) }).done).toMatchObject({ isTrue: true });
    const before = (await upstream.closeIdle()).bytesSent;

    const [blob = ''] = await pullManifest(mirror, upstream.image(1));
    const content = await upstream.content(1);
    const result = await new BlobClient(blob, { content, start, end: start + length }).done;
    expect(result).toMatchObject({ status: 206, received: length, isTrue: true, isComplete: true });
    expect(result.totalMs).toBeLessThanOrEqual(promisedMs + schedulingMs);

    // Not a byte is asked for twice when the rest comes, at whatever pace.
    await upstream.reshape({});
    await committed(mirror, content.digest, 90_000);
    const sent = (await upstream.stats()).bytesSent - before;
    tell({ 'far range, ms': result.totalMs, 'promised, ms': promisedMs, 'upstream bytes / blob': sent / size });
    expect(sent / size).toBeGreaterThanOrEqual(1);
    expect(sent / size).toBeLessThanOrEqual(1.01);
    expect(await new BlobClient(blob, { content }).done).toMatchObject({ status: 200, received: size, isTrue: true });
  });
});
