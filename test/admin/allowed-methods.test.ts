// Another method than a path takes: 405 that says which, for every path of the document.
import { expect, test } from 'vitest';
import { startAdmin, why } from './start-admin.ts';

test.each([
  ['/status', 'GET, HEAD'],
  ['/images', 'DELETE, GET, HEAD'],
  ['/images/redis:7', 'DELETE, GET, HEAD'],
  ['/images/registry.test:5000/deep/app', 'DELETE, GET, HEAD'],
  ['/images/redis/pin', 'DELETE, GET, HEAD, PUT'],
  ['/images/api/v1/verify', 'DELETE, GET, HEAD'],
  ['/blobs/sha256:7', 'DELETE'],
  ['/prefetch', 'GET, HEAD, POST'],
  ['/fills', 'GET, HEAD'],
  ['/upstreams', 'GET, HEAD'],
  ['/verify', 'POST'],
  ['/reload', 'POST'],
  ['/import', 'POST'],
  ['/export', 'GET, HEAD'],
  ['/events', 'GET, HEAD'],
  ['/openapi.json', 'GET, HEAD'],
])('%s takes %s only', async (path, allowed) => {
  await using admin = await startAdmin();
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
    if (allowed.split(', ').includes(method)) continue;
    const answer = await admin.ask(`/api/v1${path}`, { method });
    expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, allowed]);
    if (method !== 'HEAD') expect(why(answer)).toBe(`this takes ${allowed} only; see /api/v1/openapi.json`);
  }
});

test.each([
  '/api/v1',
  '/api/v1/',
  '/api/v1/nowhere',
  '/api/v1/images/',
  '/api/v1/status/x',
  '/api/v1/blobs/a/b',
  '/api/v2/status',
])('%s is nowhere, by any method', async (path) => {
  await using admin = await startAdmin();
  for (const method of ['GET', 'POST', 'DELETE']) expect((await admin.ask(path, { method })).status).toBe(404);
});

test('a list can be read by its head alone', async () => {
  await using admin = await startAdmin();
  for (const path of ['/status', '/images', '/images/redis', '/prefetch', '/fills', '/upstreams', '/openapi.json']) {
    const { status, headers, body } = await admin.ask(`/api/v1${path}`, { method: 'HEAD' });
    expect([path, status, headers['content-type'], body.length]).toEqual([path, 200, 'application/json', 0]);
  }
});
