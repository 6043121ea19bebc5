// The admin API over HTTP as scripts and dashboards use it: what it documents, what it forgets, keeps, fetches, verifies and refuses.
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { descriptorsOf, released } from '../support/process-resources.ts';
import { committedFiles, lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';

let upstream: FakeUpstream;
let mirror: MirrorProcess;
let app: AddedImage;

beforeEach(async () => {
  upstream = await startFakeUpstream();
  mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
  app = upstream.addImage('library/app', { layers: ['of app', 'shared'] });
  upstream.addImage('library/app', { tag: 'v1', layers: ['of v1', 'shared'] });
  upstream.addImage('acme/one', { layers: ['of one'] });
  for (const image of ['library/app:latest', 'library/app:v1', 'acme/one:latest']) await pullWhole(mirror.url, image);
});

afterEach(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

type Json = Record<string, unknown>;
type Told = { readonly status: number; readonly json: Json; readonly text: string; readonly headers: Headers };

async function api(method: string, path: string, init: RequestInit = {}): Promise<Told> {
  const answer = await fetch(`${mirror.adminUrl}/api/v1${path}`, { method, ...init });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type') === 'application/json' && text !== '';
  return { status: answer.status, json: isJson ? JSON.parse(text) : {}, text, headers: answer.headers };
}

const linesOf = (text: string): Json[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const jsonBody = (value: unknown): RequestInit => ({
  body: typeof value === 'string' ? value : JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
});
const oneLine = { error: expect.stringMatching(/^[^\n]{5,400}$/) };

describe('what the document says', () => {
  test('every route in it answers, as HEAD too, and refuses what it does not take', async () => {
    const { json } = await api('GET', '/openapi.json');
    const paths = json.paths as Record<string, Record<string, { responses: Json }>>;
    const wrong: string[] = [];
    const real: Record<string, string> = { image: 'library/app:latest', digest: app.layers[0]?.digest ?? '' };
    for (const [path, operations] of Object.entries(paths)) {
      const at = path.replace('/api/v1', '').replace(/\{(\w+)\}/g, (_, name) => real[name] ?? '');
      const told = (status: number) => Object.values(operations).some(({ responses }) => String(status) in responses);
      if ('get' in operations && !/events/.test(path)) {
        const given = path.endsWith('/export') ? '?image=app' : '';
        const get = await api('GET', at + given);
        const head = await api('HEAD', at + given);
        if (get.status !== 200 || !told(200)) wrong.push(`GET ${path}: ${get.status} ${get.text.slice(0, 100)}`);
        if (head.status !== 200 || head.text !== '') wrong.push(`HEAD ${path}: ${head.status}`);
      }
      const refused = await api('PATCH', at);
      const allowed = (refused.headers.get('allow') ?? '').split(', ');
      // An image may be called `…/pin`: such a path takes more than its own document says.
      const missing = Object.keys(operations).filter((method) => !allowed.includes(method.toUpperCase()));
      if (refused.status !== 405 || missing.length > 0 || allowed.includes('PATCH'))
        wrong.push(`PATCH ${path}: ${refused.status}, Allow ${allowed} without ${missing}`);
    }
    expect(wrong).toEqual([]);
  });

  test.each([
    ['POST', '/prefetch', 'not json'],
    ['POST', '/prefetch', '[]'],
    ['POST', '/prefetch', '{"images":[]}'],
    ['POST', '/prefetch', '{"images":"app"}'],
    ['POST', '/prefetch', '{"images":["app"],"platforms":["bogus"]}'],
    ['POST', '/prefetch', '{"images":["app"],"nosuch":1}'],
    ['POST', '/prefetch', `{"images":["${'a'.repeat(3_000_000)}"]}`],
    ['POST', '/prefetch', `${'['.repeat(100_000)}`],
    ['POST', '/verify', '{"repair":"yes"}'],
    ['POST', '/verify', 'null'],
    ['DELETE', '/images?match=', undefined],
    ['DELETE', '/blobs/sha256:zz', undefined],
    ['GET', '/images?limit=0', undefined],
    ['GET', '/images?cursor=garbage', undefined],
    ['GET', '/images/a//b', undefined],
    ['GET', '/images/%ff', undefined],
    ['GET', '/export', undefined],
  ])('%s %s is 400 and one line, case %#', async (method, path, body) => {
    const { status, json } = await api(method, path, body === undefined ? {} : jsonBody(body));
    expect([status, json]).toEqual([400, oneLine]);
  });

  test.each([
    'POST /prefetch',
    'POST /reload',
    'POST /verify',
    'POST /import',
    'DELETE /images/app',
    'PUT /images/app/pin',
    'DELETE /images?match=**',
  ])('a page of another origin cannot %s, nor a host name that is not this one', async (line) => {
    const [method = '', path = ''] = line.split(' ');
    const crossed = await api(method, path, {
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    });
    expect([crossed.status, crossed.json]).toEqual([403, oneLine]);
    const rebound = await raw(method, path, { host: 'evil.example' });
    rebound.resume();
    expect(rebound.statusCode).toBeGreaterThanOrEqual(400);
    expect((await api('GET', '/images/app:latest')).json).toMatchObject({ images: [{ isPinned: false }] });
  });
});

function raw(method: string, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(`${mirror.adminUrl}/api/v1${path}`, { method, headers, agent: false }, resolve).on('error', reject).end();
  });
}

describe('what is forgotten', () => {
  const names = async () => {
    const { json } = await api('GET', '/images');
    return (json.images as Json[]).map(({ repository, tag }) => `${repository}:${tag}`).sort();
  };

  test.each([
    ['a tag', '/images/app:latest', ['docker.io/acme/one:latest', 'docker.io/library/app:v1']],
    ['a repository', '/images/app', ['docker.io/acme/one:latest']],
    ['a glob', '/images?match=docker.io/library/*:v*', ['docker.io/acme/one:latest', 'docker.io/library/app:latest']],
  ])('%s goes, the rest stays whole without the upstream, and a pull brings it back', async (_, path, left) => {
    expect((await api('DELETE', path)).status).toBe(200);
    expect(await names()).toEqual(left);
    await upstream.close();
    for (const name of left) await pullWhole(mirror.url, name.replace('docker.io/', ''));
    await upstream.reopen();
    await until('it comes again', async () => await pullWhole(mirror.url, 'library/app:latest'));
    await pullWhole(mirror.url, 'library/app:v1');
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  });

  test('a digest goes wherever it is, once, and is fetched again', async () => {
    const [layer] = app.layers;
    const path = `/blobs/${layer?.digest}`;
    expect((await api('DELETE', path)).status).toBe(200);
    expect([(await api('DELETE', path)).status, (await api('GET', '/images/app:latest')).json]).toMatchObject([
      404,
      { images: [{ isComplete: false }] },
    ]);
    const before = upstream.count({ path: layer?.digest ?? '' });
    await pullWhole(mirror.url, 'library/app:latest');
    expect(upstream.count({ path: layer?.digest ?? '' })).toBe(before + 1);
  });

  test('what is pinned survives its own purge, that of its layers, and every glob', async () => {
    expect((await api('PUT', '/images/app:latest/pin')).status).toBe(204);
    expect((await api('DELETE', '/images/app:latest')).status).toBe(409);
    expect((await api('DELETE', `/blobs/${app.layers[0]?.digest}`)).json).toMatchObject(oneLine);
    expect((await api('DELETE', '/images?match=**')).json).toMatchObject({ pinned: ['docker.io/library/app:latest'] });
    expect(await names()).toEqual(['docker.io/library/app:latest']);
    await upstream.close();
    await pullWhole(mirror.url, 'library/app:latest');
  });
});

describe('what is fetched and proven', () => {
  test('a prefetch while clients pull the same image is one fetch of each thing, and tells of all of it', async () => {
    const gate = new Gate();
    const big = await upstream.addGeneratedBlob('library/new', { size: 4 * 1024 * 1024, seed: 1 });
    upstream.addImage('library/new', { layers: [big] });
    upstream.faults.add({ path: big.digest }, { holdBody: { after: 100_000, gate } });
    const told = api('POST', '/prefetch', jsonBody({ images: ['new'], allPlatforms: true }));
    const pulls = [1, 2, 3].map(() => pullWhole(mirror.url, 'library/new:latest'));
    await gate.reached;
    expect((await api('GET', '/fills')).json).toMatchObject({
      fills: expect.arrayContaining([expect.objectContaining({ digest: big.digest })]),
    });
    gate.open();
    await Promise.all(pulls);
    const events = linesOf((await told).text);
    expect(events.at(-1)).toMatchObject({ type: 'done', images: 1, failed: 0 });
    expect(upstream.bytesSent('blob')).toBeLessThan(big.size + 20_000);
  });

  test('who asked for a prefetch and leaves ends it, and nothing stays open', async () => {
    const gate = new Gate();
    const big = await upstream.addGeneratedBlob('library/left', { size: 40 * 1024 * 1024, seed: 2 });
    upstream.addImage('library/left', { layers: [big] });
    upstream.faults.add({ path: big.digest }, { holdBody: { after: 100_000, gate } });
    const before = descriptorsOf(mirror.pid);
    const leaving = new AbortController();
    await fetch(`${mirror.adminUrl}/api/v1/prefetch`, {
      method: 'POST',
      ...jsonBody({ images: ['left'] }),
      signal: leaving.signal,
    });
    await gate.reached;
    leaving.abort();
    await until(
      'no prefetch runs',
      async () => ((await api('GET', '/prefetch')).json.prefetches as Json[]).length === 0,
    );
    await until('no fill runs', async () => ((await api('GET', '/fills')).json.fills as Json[]).length === 0);
    gate.open();
    await released(mirror.pid, { ...before, sockets: before.sockets + 4 });
    await pullWhole(mirror.url, 'library/left:latest');
  });

  test('verify finds what changed and what is gone; with repair the next pull is right', async () => {
    const file = async (digest = '') =>
      join(
        mirror.cacheDir,
        (await committedFiles(mirror.cacheDir)).find((name) => name.endsWith(digest.slice(7))) ?? 'none',
      );
    const big = await upstream.addGeneratedBlob('library/big', { size: 3 * 1024 * 1024, seed: 5 });
    const other = await upstream.addGeneratedBlob('library/big', { size: 3 * 1024 * 1024, seed: 6 });
    upstream.addImage('library/big', { layers: [big, other] });
    await pullWhole(mirror.url, 'library/big:latest');
    const path = await file(big.digest);
    await chmod(path, 0o600);
    const bytes = await readFile(path);
    bytes[2_000_000] = (bytes[2_000_000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await rm(await file(other.digest));
    const found = linesOf((await api('POST', '/verify')).text);
    expect(found.filter(({ type }) => type === 'damaged')).toMatchObject([{ digest: big.digest, isDropped: false }]);
    expect(found.filter(({ type }) => type === 'missing')).toMatchObject([{ digest: other.digest }]);
    const repaired = linesOf((await api('POST', '/verify', jsonBody({ repair: true }))).text);
    expect(repaired.at(-1)).toMatchObject({ type: 'done', dropped: 2 });
    expect(linesOf((await api('POST', '/verify')).text).at(-1)).toMatchObject({ damaged: 0, missing: 0 });
    await pullWhole(mirror.url, 'library/big:latest');
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  });
});

describe('what goes on', () => {
  test('two hundred event streams are told or refused, never stall a pull, and leave nothing behind', async () => {
    await api('GET', '/status');
    const before = descriptorsOf(mirror.pid);
    const streams = await Promise.all(Array.from({ length: 200 }, () => raw('GET', '/events')));
    const open = streams.filter(({ statusCode }) => statusCode === 200);
    expect(streams.filter(({ statusCode }) => statusCode !== 200 && statusCode !== 409)).toEqual([]);
    const firsts = await Promise.all(
      open.map((stream) => new Promise<string>((resolve) => stream.once('data', (data) => resolve(String(data))))),
    );
    for (const first of firsts) expect(first).toMatch(/^(retry|event|data|:)/);
    expect((await ask(mirror.url, '/v2/library/app/manifests/latest')).status).toBe(200);
    for (const stream of streams) stream.destroy();
    await released(mirror.pid, { ...before, sockets: before.sockets + 4 });
  }, 60_000);

  test('a slow reader of an export holds nobody up, and gets all of it', async () => {
    const big = await upstream.addGeneratedBlob('library/big', { size: 48 * 1024 * 1024, seed: 7 });
    upstream.addImage('library/big', { layers: [big] });
    await pullWhole(mirror.url, 'library/big:latest');
    // The last byte goes out before the blob is proven and kept.
    await until('it is kept', async () => {
      const { images } = (await api('GET', '/images/library/big:latest')).json as { images?: Json[] };
      return images?.[0]?.isComplete === true;
    });
    const slow = await raw('GET', '/export?image=library/big:latest');
    expect([slow.statusCode, slow.headers['content-type']]).toEqual([200, 'application/x-tar']);
    // It reads nothing yet: meanwhile others pull, and the image is asked to go.
    await pullWhole(mirror.url, 'library/big:latest');
    expect((await api('DELETE', '/images/library/big:latest')).status).toBe(200);
    let received = 0;
    for await (const chunk of slow) received += chunk.length;
    expect(slow.complete).toBe(true);
    expect(received).toBeGreaterThan(big.size);
    expect(received % 512).toBe(0);
  }, 60_000);
});
