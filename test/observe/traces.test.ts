// What a pull looks like to whoever collects traces: requests, fills and questions to upstreams, each below its cause.
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Fill } from '../../src/mirror/fill.ts';
import type { FakeUpstreamOptions } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { tracedScene } from './tracing-scene.ts';

const name = 'library/app';
const theirs = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const traceparent = `00-${theirs.traceId}-${theirs.spanId}-01`;

describe('a cold pull', () => {
  test('is one trace: the request, the fill below it and what the upstream was asked below that', async () => {
    await using at = await tracedScene();
    const blob = at.upstream.addBlob(name, 'a layer');
    await at.ask(`/v2/${name}/blobs/${blob.digest}?ns=docker.io&secret=x`, { headers: { 'user-agent': 'docker/29' } });
    await at.sent(1);
    const [request, fill, question] = ['GET blob', 'fill', 'GET blob'].map((called, index) => {
      const kind = (['server', 'internal', 'client'] as const)[index];
      return at.collector.named(called).find((span) => span.kind === kind);
    });
    expect(new Set(at.collector.spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(request?.parentSpanId).toBeUndefined();
    expect(fill?.parentSpanId).toBe(request?.spanId);
    expect(question?.parentSpanId).toBe(fill?.spanId);
    expect(request?.attributes).toEqual({
      'http.request.method': 'GET',
      'url.path': `/v2/${name}/blobs/${blob.digest}`,
      'http.response.status_code': 200,
      'user_agent.original': 'docker/29',
      'stillwater.kind': 'blob',
      'stillwater.outcome': 'miss',
      'stillwater.upstream': 'docker.io',
      'stillwater.repository': `docker.io/${name}`,
      'stillwater.digest': blob.digest,
      'stillwater.bytes': blob.size,
      'stillwater.complete': true,
    });
    expect(fill?.attributes).toEqual({
      'stillwater.repository': `docker.io/${name}`,
      'stillwater.upstream': 'docker.io',
      'stillwater.digest': blob.digest,
      'stillwater.sibling': false,
    });
    expect(question?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(at.upstream.url).port),
      'url.path': `/v2/${name}/blobs/${blob.digest}`,
      'http.response.status_code': 206,
      'stillwater.range': expect.stringMatching(/^bytes=0-\d+$/),
      'stillwater.upstream': 'docker.io',
      'stillwater.kind': 'blob',
      'stillwater.bytes': blob.size,
    });
    expect(request?.resource).toMatchObject({ 'service.name': 'stillwater', 'service.version': '1.2.3' });
    expect(at.collector.spans.filter(({ isError }) => isError)).toEqual([]);
  });

  test('has spans that last as long as what they tell of', async () => {
    const gate = new Gate();
    const intercept: FakeUpstreamOptions['intercept'] = async () => {
      await gate.pass();
      return false;
    };
    await using at = await tracedScene({ upstream: { intercept } });
    at.upstream.addImage(name);
    const before = Date.now();
    const answer = at.ask(`/v2/${name}/manifests/latest`);
    await gate.reached;
    const held = Date.now();
    gate.open();
    await answer;
    await at.sent(1);
    const after = Date.now();
    expect(at.collector.spans.length).toBeGreaterThan(1);
    for (const { startMs, endMs } of at.collector.spans) expect(endMs).toBeGreaterThanOrEqual(startMs);
    const request = at.collector.spans.find(({ kind }) => kind === 'server');
    // Two clocks tell the time of a span, and they agree within a tenth of a second.
    expect(request?.startMs).toBeGreaterThan(before - 150);
    expect(request?.endMs).toBeGreaterThan(held - 150);
    expect(request?.endMs).toBeLessThan(after + 150);
  });

  test('goes on with the trace that the client names, and the upstream is told of it', async () => {
    await using at = await tracedScene();
    at.upstream.addImage(name);
    const tracestate = 'vendor=internal';
    await at.ask(`/v2/${name}/manifests/latest`, { headers: { traceparent, tracestate } });
    await at.sent(1);
    expect(new Set(at.collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([theirs.traceId]));
    const request = at.collector.spans.find(({ kind }) => kind === 'server');
    expect(request).toMatchObject({ parentSpanId: theirs.spanId, traceState: tracestate });
    const asked = at.collector.spans.filter(({ kind }) => kind === 'client');
    expect(at.upstream.requests.map(({ headers }) => headers.traceparent)).toEqual(
      asked.map(({ spanId }) => `00-${theirs.traceId}-${spanId}-01`),
    );
    expect(at.upstream.requests.map(({ headers }) => headers.tracestate)).toEqual(asked.map(() => undefined));
  });

  test('sends nothing of a trace that is not sampled, and says so to the upstream', async () => {
    await using at = await tracedScene();
    at.upstream.addImage(name);
    await at.ask(`/v2/${name}/manifests/latest`, { headers: { traceparent: traceparent.replace(/1$/, '0') } });
    await at.ask(`/v2/${name}/manifests/latest`, { headers: { traceparent: traceparent.replace(/1$/, '0') } });
    await at.sent(2);
    expect(at.collector.requests).toEqual([]);
    expect(at.upstream.requests.length).toBeGreaterThan(0);
    for (const { headers } of at.upstream.requests)
      expect(headers.traceparent).toMatch(new RegExp(`^00-${theirs.traceId}-[0-9a-f]{16}-00$`));
  });

  test('tells neither the host that a redirect leads to nor the token server whose work it is', async () => {
    await using at = await tracedScene({ upstream: { cdn: true, auth: {} } });
    const blob = at.upstream.addBlob(name, 'a layer');
    expect((await at.ask(`/v2/${name}/blobs/${blob.digest}`)).status).toBe(200);
    await at.sent(1);
    const { requests, cdn, tokens } = at.upstream;
    for (const others of [cdn?.requests, tokens?.requests])
      expect(others?.map(({ headers }) => headers.traceparent)).toEqual([undefined]);
    expect(requests.length).toBeGreaterThan(0);
    for (const { headers } of requests) expect(headers.traceparent).toMatch(/^00-/);
    const ports = at.collector.spans.map(({ attributes }) => attributes['server.port']);
    const foreign = at.collector.spans[ports.indexOf(Number(new URL(at.upstream.cdn?.url ?? '').port))];
    expect(foreign?.attributes).toMatchObject({ 'http.response.status_code': 206 });
    expect(foreign?.attributes['url.path']).toBeUndefined();
  });
});

describe('a warm pull', () => {
  test('is a span of its own, also where it is answered ahead of the app', async () => {
    await using at = await tracedScene();
    const blob = at.upstream.addBlob(name, 'a layer');
    const path = `/v2/${name}/blobs/${blob.digest}`;
    await at.ask(path, { headers: { traceparent } });
    await at.registry.mirror.fills.drained();
    for (let n = 0; n < 2; n++) await at.ask(path, { headers: { traceparent } });
    expect(at.registry.answeredBefore).toBe(1);
    await at.sent(3);
    const spans = at.collector.named('GET blob').filter(({ kind }) => kind === 'server');
    expect(spans.map(({ attributes }) => attributes['stillwater.outcome'])).toEqual(['miss', 'hit', 'hit']);
    expect(spans.map(({ parentSpanId }) => parentSpanId)).toEqual([1, 2, 3].map(() => theirs.spanId));
  });

  test('is found in the log by its trace', async () => {
    await using at = await tracedScene();
    at.upstream.addImage(name);
    await at.ask(`/v2/${name}/manifests/latest`, { headers: { traceparent } });
    await at.ask('/v2/');
    await at.sent(2);
    const ids = at.registry.mirror.logLines.filter(({ method }) => method).map(({ traceId }) => traceId);
    expect(ids).toEqual([theirs.traceId, at.collector.named('GET ping')[0]?.traceId]);
  });
});

describe('a fill', () => {
  test('is below the request that started it, and linked to those that joined it', async () => {
    const gate = new Gate();
    await using at = await tracedScene();
    const blob = at.upstream.addBlob(name, contentOf('a layer that many want'));
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
    const entering = vi.spyOn(Fill.prototype, 'enter');
    onTestFinished(() => entering.mockRestore());
    const path = `/v2/${name}/blobs/${blob.digest}`;
    const first = at.ask(path, { headers: { 'user-agent': 'first' } });
    await gate.reached;
    const second = at.ask(path, { headers: { 'user-agent': 'second' } });
    await until('both at the fill', () => entering.mock.calls.length === 2);
    gate.open();
    await Promise.all([first, second]);
    await at.sent(2);
    const [fill] = at.collector.named('fill');
    const request = (agent: string) =>
      at.collector.spans.find(({ attributes }) => attributes['user_agent.original'] === agent);
    expect(at.collector.named('fill')).toHaveLength(1);
    expect(fill?.parentSpanId).toBe(request('first')?.spanId);
    expect(request('first')?.links).toEqual([]);
    expect(request('second')?.links).toEqual([fill?.spanId]);
    expect(request('second')?.traceId).not.toBe(fill?.traceId);
  });
});

describe('what fails', () => {
  test('is an error of the upstream, and of a request only where we are to blame', async () => {
    await using at = await tracedScene();
    await at.ask(`/v2/${name}/manifests/missing`);
    await at.upstream.close();
    await at.ask(`/v2/${name}/manifests/away`);
    await at.sent(2);
    const requests = at.collector.named('GET manifest').filter(({ kind }) => kind === 'server');
    expect(requests.map(({ attributes, isError }) => [attributes['http.response.status_code'], isError])).toEqual([
      [404, false],
      [expect.any(Number), true],
    ]);
    const last = at.collector.spans.filter(({ kind }) => kind === 'client').at(-1);
    expect(last).toMatchObject({ isError: true, message: expect.stringContaining('docker.io') });
    expect(last?.attributes['error.type']).toBe('unreachable');
  });
});
