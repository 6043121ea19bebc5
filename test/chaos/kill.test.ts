// The mirror dies without warning in the middle of a fill; nothing that was not verified survives as truth.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { startMirror } from '../support/mirror-process.ts';
import { generateContent } from '../support/served-content.ts';
import { isCommitted, lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';

const size = 48 * 1024 * 1024;
const repository = 'library/app';

describe('a mirror killed in the middle of a fill', { timeout: 60_000 }, () => {
  const moments = [
    ['before the first byte', 0],
    ['after the first byte', 1],
    ['in the middle of each part', 4 * 1024 * 1024],
    ['before the last byte of each part', -1],
  ] as const;

  test.each(moments)('serves nothing wrong and pulls again: %s', async (_, after) => {
    await using upstream = await startFakeUpstream();
    const layer = await generateContent({ size, seed: 7 });
    upstream.addImage(repository, { layers: [layer] });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const manifest = `${mirror.url}/v2/${repository}/manifests/latest`;
    const blob = `${mirror.url}/v2/${repository}/blobs/${layer.digest}`;

    const gate = new Gate();
    const fault = upstream.faults.add({ method: 'GET', path: layer.digest }, { holdBody: { after, gate } });
    expect((await fetch(manifest)).status).toBe(200);
    const cut = new BlobClient(blob, { content: layer });
    await gate.reached;
    if (after > 1 || after < 0) await cut.firstByte;
    await mirror.kill();
    const broken = await cut.done.catch(() => undefined);
    expect(broken?.isComplete ?? false).toBe(false);
    expect(broken?.isTrue ?? true).toBe(true);
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
    expect(await isCommitted(mirror.cacheDir, layer.digest)).toBe(false);

    fault.remove();
    gate.open();
    await mirror.restart();
    expect((await fetch(manifest)).status).toBe(200);
    const whole = await new BlobClient(blob, { content: layer }).done;
    expect(whole).toMatchObject({ status: 200, received: size, contentLength: size, isTrue: true, isComplete: true });
    await mirror.stop();
    await until('the layer is committed', () => isCommitted(mirror.cacheDir, layer.digest));
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  });

  test('still serves without the upstream what was committed before', async () => {
    await using upstream = await startFakeUpstream();
    const { layers, digest } = upstream.addImage(repository, { layers: ['a small layer'] });
    const [layer] = layers;
    if (layer === undefined) throw new Error('the image has no layer');
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const manifest = `${mirror.url}/v2/${repository}/manifests/${digest}`;
    const blob = `${mirror.url}/v2/${repository}/blobs/${layer.digest}`;
    await (await fetch(manifest)).text();
    expect(await (await fetch(blob)).text()).toBe('a small layer');
    // The last byte leaves once it is verified; the commit and its record follow: the manifest's, the layer's and its sibling's.
    await until('all are recorded', async () => (await mirror.metric('stillwater_cache_blobs')) === 3);
    await mirror.kill();

    await upstream.close();
    await mirror.restart();
    expect(await (await fetch(blob)).text()).toBe('a small layer');
  });
});
