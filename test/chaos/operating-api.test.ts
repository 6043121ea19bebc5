// The admin API over HTTP as scripts and dashboards use it: what it documents, and what it refuses.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Json, jsonBody, OperatedMirror } from '../support/operated-mirror.ts';

let scene: OperatedMirror;

beforeEach(async () => {
  scene = await OperatedMirror.start();
});

afterEach(() => scene?.[Symbol.asyncDispose]());

const oneLine = { error: expect.stringMatching(/^[^\n]{5,400}$/) };

describe('what the document says', () => {
  test('every route in it answers, as HEAD too, and refuses what it does not take', async () => {
    const { json } = await scene.api('GET', '/openapi.json');
    const paths = json.paths as Record<string, Record<string, { responses: Json }>>;
    const wrong: string[] = [];
    const real: Record<string, string> = { image: 'library/app:latest', digest: scene.app.layers[0]?.digest ?? '' };
    for (const [path, operations] of Object.entries(paths)) {
      const at = path.replace('/api/v1', '').replace(/\{(\w+)\}/g, (_, name) => real[name] ?? '');
      const told = (status: number) => Object.values(operations).some(({ responses }) => String(status) in responses);
      if ('get' in operations && !/events/.test(path)) {
        const given = path.endsWith('/export') ? '?image=app' : '';
        const get = await scene.api('GET', at + given);
        const head = await scene.api('HEAD', at + given);
        if (get.status !== 200 || !told(200)) wrong.push(`GET ${path}: ${get.status} ${get.text.slice(0, 100)}`);
        if (head.status !== 200 || head.text !== '') wrong.push(`HEAD ${path}: ${head.status}`);
      }
      const refused = await scene.api('PATCH', at);
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
    const { status, json } = await scene.api(method, path, body === undefined ? {} : jsonBody(body));
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
    const crossed = await scene.api(method, path, {
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    });
    expect([crossed.status, crossed.json]).toEqual([403, oneLine]);
    const rebound = await scene.raw(method, path, { host: 'evil.example' });
    rebound.resume();
    expect(rebound.statusCode).toBeGreaterThanOrEqual(400);
    expect((await scene.api('GET', '/images/app:latest')).json).toMatchObject({ images: [{ isPinned: false }] });
  });
});
