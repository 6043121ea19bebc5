// One line and one count a request, and what must never be in them.
import { describe, expect, test } from 'vitest';
import { tracedScene } from '../observe/tracing-scene.ts';
import { contentOf } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { type Scene, scene, sendRaw } from './start-registry.ts';

const name = 'library/app';

/** The line of the only request; it is written when the connection's answer is over, a moment after the client knows. */
async function lineOf(at: Scene): Promise<Readonly<Record<string, unknown>>> {
  const { logLines } = at.registry.mirror;
  return await until('a log line', () => logLines.find(({ method }) => method !== undefined));
}

describe('the line of a request', () => {
  test('tells what was asked, what came of it and how much of it', async () => {
    await using at = await scene();
    const { digest, content } = { ...at.upstream.addImage(name), content: contentOf('a layer') };
    at.upstream.addBlob(name, content);
    await at.ask(`/v2/${name}/blobs/${content.digest}?ns=docker.io`, {
      headers: { 'user-agent': 'docker/20 "\\(x\\)"' },
    });
    const line = await lineOf(at);
    expect(line).toMatchObject({
      msg: 'request',
      method: 'GET',
      url: `/v2/${name}/blobs/${content.digest}?ns=docker.io`,
      status: 200,
      outcome: 'miss',
      repository: `docker.io/${name}`,
      digest: content.digest,
      complete: true,
      remote: '127.0.0.1',
      userAgent: 'docker/20 "\\(x\\)"',
    });
    expect(line.bytes).toBe(content.size);
    expect(line.headMs).toBeLessThanOrEqual(Number(line.totalMs));
    expect(digest).not.toBe(content.digest);
  });

  test('of a manifest names the reference', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    await at.ask(`/v2/${name}/manifests/latest`);
    expect(await lineOf(at)).toMatchObject({ reference: 'latest', outcome: 'miss', status: 200 });
  });

  test('of a refusal tells why, without being an error', async () => {
    await using at = await scene();
    await at.ask(`/v2/${name}/manifests/latest`);
    expect(await lineOf(at)).toMatchObject({ level: 30, status: 404, error: expect.stringContaining(name) });
  });

  test('of a fault of our own is an error with its stack', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    at.registry.mirror.records.tag = () => {
      throw new Error('the index is broken');
    };
    const { status, body } = await at.ask(`/v2/${name}/manifests/latest`);
    expect(status).toBe(500);
    expect(body.toString()).not.toContain('index');
    expect(await lineOf(at)).toMatchObject({
      level: 50,
      msg: 'request failed',
      err: { message: 'the index is broken' },
    });
  });

  test('is one line, whatever the client calls itself', async () => {
    await using at = await scene();
    await at.ask('/v2/', { headers: { 'user-agent': 'x"}\t{"level":60,"msg":"forged"' } });
    await lineOf(at);
    expect(at.registry.mirror.logLines).toHaveLength(1);
  });
});

test('what a client puts in front of a host is in no line and in no span', async () => {
  await using at = await tracedScene();
  const targets = ['http://user:s3cret@h', 'https://s3cret@h', ''];
  for (const origin of targets)
    await sendRaw(at.registry.url, `GET ${origin}/v2/?a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  await at.sent(targets.length);
  const lines = at.registry.mirror.logLines.filter(({ method }) => method !== undefined);
  expect(lines.map(({ url }) => url)).toEqual(targets.map(() => '/v2/?a'));
  expect(at.collector.spans.map(({ attributes }) => attributes['url.path'])).toEqual(targets.map(() => '/v2/'));
  expect(JSON.stringify([at.registry.mirror.logLines, at.collector.spans])).not.toContain('s3cret');
});

describe('the figures', () => {
  test('count requests by kind, outcome, upstream and status', async () => {
    await using at = await scene();
    const blob = at.upstream.addBlob(name, 'a layer');
    await at.ask(`/v2/${name}/blobs/${blob.digest}`);
    await at.ask('/v2/');
    await at.ask('/nothing');
    const { metrics, logLines } = at.registry.mirror;
    await until('three lines', () => logLines.length === 3);
    const labels = (await metrics.requests.get()).values.map((value) => value.labels);
    expect(labels).toEqual([
      { kind: 'blob', outcome: 'miss', upstream: 'docker.io', status: 200 },
      { kind: 'ping', outcome: 'none', upstream: 'none', status: 200 },
      { kind: 'other', outcome: 'none', upstream: 'none', status: 404 },
    ]);
    const served = (await metrics.servedBytes.get()).values;
    expect(served).toMatchObject([{ labels: { outcome: 'miss' }, value: blob.size }]);
  });

  test('have no label that a client can choose', async () => {
    await using at = await scene();
    for (const path of [
      '/v2/made-up/manifests/x',
      '/v2/evil.example/x/manifests/y',
      '/v2/x/manifests/y?ns=evil.example',
    ])
      await at.ask(path);
    await until('three lines', () => at.registry.mirror.logLines.length === 3);
    expect(await at.registry.mirror.metrics.registry.metrics()).not.toMatch(/evil|made-up/);
  });
});
