// What the admin API does to the cache: what it forgets and keeps, fetches, proves and gives out, while clients pull.
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Gate } from '../support/gate.ts';
import { type Json, jsonBody, linesOf, OperatedMirror } from '../support/operated-mirror.ts';
import { descriptorsOf, released } from '../support/process-resources.ts';
import { committedFiles, lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';

let scene: OperatedMirror;

beforeEach(async () => {
  scene = await OperatedMirror.start();
  await scene.reconciled();
});

afterEach(() => scene?.[Symbol.asyncDispose]());

const oneLine = { error: expect.stringMatching(/^[^\n]{5,400}$/) };

describe('what is forgotten', () => {
  const names = async () => {
    const { json } = await scene.api('GET', '/images');
    return (json.images as Json[]).map(({ repository, tag }) => `${repository}:${tag}`).sort();
  };

  test.each([
    ['a tag', '/images/app:latest', ['docker.io/acme/one:latest', 'docker.io/library/app:v1']],
    ['a repository', '/images/app', ['docker.io/acme/one:latest']],
    ['a glob', '/images?match=docker.io/library/*:v*', ['docker.io/acme/one:latest', 'docker.io/library/app:latest']],
  ])('%s goes, the rest stays whole without the upstream, and a pull brings it back', async (_, path, left) => {
    expect((await scene.api('DELETE', path)).status).toBe(200);
    expect(await names()).toEqual(left);
    await scene.upstream.close();
    for (const name of left) await pullWhole(scene.mirror.url, name.replace('docker.io/', ''));
    await scene.upstream.reopen();
    await until('it comes again', async () => await pullWhole(scene.mirror.url, 'library/app:latest'));
    await pullWhole(scene.mirror.url, 'library/app:v1');
    expect(await lyingFiles(scene.mirror.cacheDir)).toEqual([]);
  });

  test('a digest goes wherever it is, once, and is fetched again', async () => {
    const [layer] = scene.app.layers;
    const path = `/blobs/${layer?.digest}`;
    expect((await scene.api('DELETE', path)).status).toBe(200);
    expect([
      (await scene.api('DELETE', path)).status,
      (await scene.api('GET', '/images/app:latest')).json,
    ]).toMatchObject([404, { images: [{ isComplete: false }] }]);
    const before = scene.upstream.count({ path: layer?.digest ?? '' });
    await pullWhole(scene.mirror.url, 'library/app:latest');
    expect(scene.upstream.count({ path: layer?.digest ?? '' })).toBe(before + 1);
  });

  test('what is pinned survives its own purge, that of its layers, and every glob', async () => {
    expect((await scene.api('PUT', '/images/app:latest/pin')).status).toBe(204);
    expect((await scene.api('DELETE', '/images/app:latest')).status).toBe(409);
    expect((await scene.api('DELETE', `/blobs/${scene.app.layers[0]?.digest}`)).json).toMatchObject(oneLine);
    expect((await scene.api('DELETE', '/images?match=**')).json).toMatchObject({
      pinned: ['docker.io/library/app:latest'],
    });
    expect(await names()).toEqual(['docker.io/library/app:latest']);
    await scene.upstream.close();
    await pullWhole(scene.mirror.url, 'library/app:latest');
  });
});

describe('what is fetched and proven', () => {
  test('a prefetch while clients pull the same image is one fetch of each thing, and tells of all of it', async () => {
    const gate = new Gate();
    const big = await scene.upstream.addGeneratedBlob('library/new', { size: 4 * 1024 * 1024, seed: 1 });
    scene.upstream.addImage('library/new', { layers: [big] });
    scene.upstream.faults.add({ path: big.digest }, { holdBody: { after: 100_000, gate } });
    const told = scene.api('POST', '/prefetch', jsonBody({ images: ['new'], allPlatforms: true }));
    const pulls = [1, 2, 3].map(() => pullWhole(scene.mirror.url, 'library/new:latest'));
    await gate.reached;
    expect((await scene.api('GET', '/fills')).json).toMatchObject({
      fills: expect.arrayContaining([expect.objectContaining({ digest: big.digest })]),
    });
    gate.open();
    await Promise.all(pulls);
    const events = linesOf((await told).text);
    expect(events.at(-1)).toMatchObject({ type: 'done', images: 1, failed: 0 });
    expect(scene.upstream.bytesSent('blob')).toBeLessThan(big.size + 20_000);
  });

  test('who asked for a prefetch and leaves ends it, and nothing stays open', async () => {
    const gate = new Gate();
    const big = await scene.upstream.addGeneratedBlob('library/left', { size: 40 * 1024 * 1024, seed: 2 });
    scene.upstream.addImage('library/left', { layers: [big] });
    scene.upstream.faults.add({ path: big.digest }, { holdBody: { after: 100_000, gate } });
    const before = descriptorsOf(scene.mirror.pid);
    const leaving = new AbortController();
    await fetch(`${scene.mirror.adminUrl}/api/v1/prefetch`, {
      method: 'POST',
      ...jsonBody({ images: ['left'] }),
      signal: leaving.signal,
    });
    await gate.reached;
    leaving.abort();
    await until(
      'no prefetch runs',
      async () => ((await scene.api('GET', '/prefetch')).json.prefetches as Json[]).length === 0,
    );
    await until('no fill runs', async () => ((await scene.api('GET', '/fills')).json.fills as Json[]).length === 0);
    gate.open();
    await released(scene.mirror.pid, { ...before, sockets: before.sockets + 4 });
    await pullWhole(scene.mirror.url, 'library/left:latest');
  });

  test('verify finds what changed and what is gone; with repair the next pull is right', async () => {
    const file = async (digest = '') =>
      join(
        scene.mirror.cacheDir,
        (await committedFiles(scene.mirror.cacheDir)).find((name) => name.endsWith(digest.slice(7))) ?? 'none',
      );
    const big = await scene.upstream.addGeneratedBlob('library/big', { size: 3 * 1024 * 1024, seed: 5 });
    const other = await scene.upstream.addGeneratedBlob('library/big', { size: 3 * 1024 * 1024, seed: 6 });
    scene.upstream.addImage('library/big', { layers: [big, other] });
    await scene.keep('library/big:latest');
    const path = await file(big.digest);
    await chmod(path, 0o600);
    const bytes = await readFile(path);
    bytes[2_000_000] = (bytes[2_000_000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await rm(await file(other.digest));
    const found = linesOf((await scene.api('POST', '/verify')).text);
    expect(found.filter(({ type }) => type === 'damaged')).toMatchObject([{ digest: big.digest, isDropped: false }]);
    expect(found.filter(({ type }) => type === 'missing')).toMatchObject([{ digest: other.digest }]);
    const repaired = linesOf((await scene.api('POST', '/verify', jsonBody({ repair: true }))).text);
    expect(repaired.at(-1)).toMatchObject({ type: 'done', dropped: 2 });
    expect(linesOf((await scene.api('POST', '/verify')).text).at(-1)).toMatchObject({ damaged: 0, missing: 0 });
    await pullWhole(scene.mirror.url, 'library/big:latest');
    expect(await lyingFiles(scene.mirror.cacheDir)).toEqual([]);
  });
});

describe('what goes on', () => {
  test('two hundred event streams are told or refused, never stall a pull, and leave nothing behind', async () => {
    await scene.api('GET', '/status');
    const before = descriptorsOf(scene.mirror.pid);
    const streams = await Promise.all(Array.from({ length: 200 }, () => scene.raw('GET', '/events')));
    const open = streams.filter(({ statusCode }) => statusCode === 200);
    expect(streams.filter(({ statusCode }) => statusCode !== 200 && statusCode !== 409)).toEqual([]);
    const firsts = await Promise.all(
      open.map((stream) => new Promise<string>((resolve) => stream.once('data', (data) => resolve(String(data))))),
    );
    for (const first of firsts) expect(first).toMatch(/^(retry|event|data|:)/);
    expect((await ask(scene.mirror.url, '/v2/library/app/manifests/latest')).status).toBe(200);
    for (const stream of streams) stream.destroy();
    await released(scene.mirror.pid, { ...before, sockets: before.sockets + 4 });
  }, 60_000);

  test('a slow reader of an export holds nobody up, and gets all of it', async () => {
    const big = await scene.upstream.addGeneratedBlob('library/big', { size: 48 * 1024 * 1024, seed: 7 });
    scene.upstream.addImage('library/big', { layers: [big] });
    await scene.keep('library/big:latest');
    const slow = await scene.raw('GET', '/export?image=library/big:latest');
    expect([slow.statusCode, slow.headers['content-type']]).toEqual([200, 'application/x-tar']);
    // It reads nothing yet: meanwhile others pull, and the image is asked to go.
    await pullWhole(scene.mirror.url, 'library/big:latest');
    expect((await scene.api('DELETE', '/images/library/big:latest')).status).toBe(200);
    let received = 0;
    for await (const chunk of slow) received += chunk.length;
    expect(slow.complete).toBe(true);
    expect(received).toBeGreaterThan(big.size);
    expect(received % 512).toBe(0);
  }, 60_000);
});
