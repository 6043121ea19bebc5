// The document of the API against what it does: every route is in it, and answers as it says.
import type { z } from '@hono/zod-openapi';
import { HTTPException } from 'hono/http-exception';
import { describe, expect, test } from 'vitest';
import { adminApi } from '../../src/admin/admin-api.ts';
import { LongAnswers } from '../../src/admin/long-answers.ts';
import { PinnedError } from '../../src/mirror/images/purge.ts';
import { OciError } from '../../src/oci/errors.ts';
import { Records } from '../../src/store/records.ts';
import { Gate } from '../support/gate.ts';
import { digest, fakeMirror, upstreamStatus } from './fake-mirror.ts';
import { startAdmin } from './start-admin.ts';

interface Sample {
  readonly path: string;
  readonly status: number;
  readonly body?: string;
}

/** By operation: requests for every answer and refusal that the document has of it. */
const samples: Readonly<Record<string, readonly Sample[]>> = {
  'GET /status': [{ path: '/status', status: 200 }],
  'GET /images': [
    { path: '/images?match=docker.io/**&sort=used&limit=1000&cursor=x', status: 200 },
    { path: '/images?limit=1001', status: 400 },
  ],
  'GET /images/{image}': [
    { path: '/images/redis', status: 200 },
    { path: `/images/docker.io/library/redis:7@${digest}`, status: 200 },
    { path: '/images/redis:', status: 400 },
    { path: '/images/other', status: 404 },
  ],
  'DELETE /images': [
    { path: '/images?match=**', status: 200 },
    { path: '/images?repository=redis', status: 200 },
    { path: '/images', status: 400 },
    { path: '/images?repository=docker.io/library/other', status: 404 },
  ],
  'DELETE /images/{image}': [
    { path: '/images/redis:7', status: 200 },
    { path: '/images/redis@x', status: 400 },
    { path: '/images/other', status: 404 },
    { path: '/images/pinned', status: 409 },
  ],
  'DELETE /blobs/{digest}': [
    { path: `/blobs/${digest}`, status: 200 },
    { path: '/blobs/7', status: 400 },
    { path: `/blobs/${digest.replace(/.$/, '0')}`, status: 404 },
    { path: `/blobs/${digest.replace(/.$/, '1')}`, status: 409 },
  ],
  'PUT /images/{image}/pin': [
    { path: '/images/redis:7/pin', status: 204 },
    { path: '/images/redis:/pin', status: 400 },
    { path: '/images/registry.test:5000/secret/app/pin', status: 403 },
    { path: '/images/other.example/app/pin', status: 404 },
  ],
  'DELETE /images/{image}/pin': [
    { path: '/images/redis:7/pin', status: 204 },
    { path: '/images/redis:/pin', status: 400 },
    { path: '/images/other/pin', status: 404 },
    { path: '/images/acme/app/pin', status: 409 },
  ],
  'POST /prefetch': [
    { path: '/prefetch', status: 200, body: '{"images":["redis","redis:7"],"platforms":["linux/arm64"]}' },
    { path: '/prefetch', status: 400, body: '{"images":[]}' },
    { path: '/prefetch', status: 409, body: '{"images":["redis"]}' },
  ],
  'GET /prefetch': [{ path: '/prefetch', status: 200 }],
  'GET /fills': [{ path: '/fills', status: 200 }],
  'GET /upstreams': [{ path: '/upstreams', status: 200 }],
  'POST /verify': [
    { path: '/verify', status: 200, body: '{"repair":true}' },
    { path: '/verify', status: 400, body: '{"repair":1}' },
    { path: '/verify', status: 409 },
  ],
  'POST /reload': [
    { path: '/reload', status: 200 },
    { path: '/reload', status: 422 },
  ],
  'POST /import': [
    { path: '/import?name=redis:7', status: 200, body: 'a tar' },
    { path: '/import?name=', status: 400 },
    { path: '/import', status: 409 },
  ],
  'GET /export': [
    { path: '/export?image=redis&image=redis:8&platform=linux/amd64', status: 200 },
    { path: '/export', status: 400 },
    { path: '/export?image=other', status: 404 },
    { path: '/export?image=redis', status: 409 },
  ],
  'GET /events': [
    { path: '/events', status: 200 },
    { path: '/events', status: 409 },
  ],
  'GET /openapi.json': [{ path: '/openapi.json', status: 200 }],
};

const cases = Object.entries(samples).flatMap(([operation, all]) => all.map((sample) => ({ operation, ...sample })));

type Content = Readonly<Record<string, { readonly schema: z.ZodType }>>;
type Answers = Readonly<Record<string, { readonly content?: Content }>>;

const api = adminApi({ ...fakeMirror(), records: new Records(':memory:'), upstreams: () => upstreams });
const upstreams = {
  status: () => [upstreamStatus],
  route: () => {
    throw new OciError('NAME_UNKNOWN', 'it is not configured here');
  },
};
const described = new Map<string, Answers>(
  api.openAPIRegistry.definitions.flatMap((definition) => {
    if (definition.type !== 'route') return [];
    const { method, path, responses } = definition.route;
    return [[`${method.toUpperCase()} ${path.replace('/api/v1', '')}`, responses as Answers] as const];
  }),
);

describe('the document', () => {
  test('has every route of the API and no other', async () => {
    const routes = api.routes.filter(({ method }) => method !== 'ALL');
    const routed = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
    await using admin = await startAdmin();
    const { paths } = JSON.parse((await admin.ask('/api/v1/openapi.json')).body.toString());
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const asRouted = documented.map((operation) => operation.replace(/\{image\}.*$/, '*'));
    expect(asRouted.sort()).toEqual(routed.sort());
    expect(documented.map((operation) => operation.replace('/api/v1', '')).sort()).toEqual(Object.keys(samples).sort());
  });

  test('names every answer that is tried below, and has no other', () => {
    for (const [operation, all] of Object.entries(samples)) {
      const statuses = Object.keys(described.get(operation) ?? {}).filter((status) => status !== 'default');
      expect([operation, ...statuses]).toEqual([operation, ...new Set(all.map(({ status }) => `${status}`))]);
    }
  });

  test('refers to nothing that it does not have', async () => {
    await using admin = await startAdmin();
    const text = (await admin.ask('/api/v1/openapi.json')).body.toString();
    const { components, openapi, info } = JSON.parse(text);
    expect([openapi, info.version]).toEqual(['3.1.0', '1.2.3']);
    const referred = new Set([...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect([...referred].filter((name) => !((name as string) in components.schemas))).toEqual([]);
    expect(referred.size).toBeGreaterThan(10);
  });
});

test.each(cases)('$operation answers $status as documented: $path', async ({ operation, path, status, body }) => {
  const [method = ''] = operation.split(' ');
  const mirror = mirrorFor(status);
  await using admin = await startAdmin(mirror);
  if (operation === 'DELETE /images/{image}/pin') await admin.ask('/api/v1/images/redis:7/pin', { method: 'PUT' });
  if (status === 409)
    admin.records.putTag({ registry: 'docker.io', path: 'acme/app/pin' }, '1', { digest, checkedAt: 1 });
  const asked = admin.ask(`/api/v1${path}`, { method, ...(body !== undefined && { body }) });
  if (operation === 'GET /events' && status === 200) {
    await mirror.watched.reached;
    await mirror.running[Symbol.asyncDispose]();
  }
  const answer = await asked;
  expect([answer.status, answer.isComplete]).toEqual([status, true]);
  const { content } = described.get(operation)?.[status] ?? {};
  const [type, { schema } = {}] = Object.entries(content ?? {})[0] ?? [];
  expect(answer.headers['content-type']).toBe(type);
  if (!schema) return expect(answer.body.length).toBe(0);
  const texts = answer.body
    .toString()
    .trimEnd()
    .split(type === 'application/x-ndjson' ? '\n' : '\r');
  const values = /json/.test(type ?? '') ? texts.map((text) => JSON.parse(text)) : texts;
  // What is not documented would not come through.
  expect(values.map((value) => schema.parse(value))).toEqual(values);
});

class BusyAnswers extends LongAnswers {
  override run(): never {
    throw new HTTPException(409, { message: 'too many are running already' });
  }
}

/** One where requests end as they must for this status. */
function mirrorFor(status: number) {
  const mirror = fakeMirror();
  const watched = new Gate();
  watched.open();
  const nothing = { images: [], imageCount: 0, blobs: 0, bytes: 0, pinned: [] };
  return {
    ...mirror,
    watched,
    ...(status === 409 && { running: new BusyAnswers() }),
    ...(status === 422 && { reload: () => Promise.reject(new Error('tags.ttl: not\na time')) }),
    fills: {
      status: () => {
        void watched.pass();
        return mirror.fills.status();
      },
    },
    purge: {
      run: async (...asked: Parameters<typeof mirror.purge.run>) => {
        if (status === 409) throw new PinnedError('it is pinned: unpin it first');
        return status === 404 ? nothing : mirror.purge.run(...asked);
      },
    },
    exportImages: async (options: Parameters<typeof mirror.exportImages>[0]) => {
      if (status === 404) throw new OciError('NAME_UNKNOWN', 'docker.io/library/other:latest is not here whole');
      return mirror.exportImages(options);
    },
  };
}
