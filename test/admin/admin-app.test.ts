// The whole listener: what is open, that all else is behind the guard, and what every answer tells a browser.
import { describe, expect, test } from 'vitest';
import { sendRaw } from '../http/start-registry.ts';
import { bearer, closedToAll, startAdmin, why } from './start-admin.ts';

const token = 'correct-horse-battery';
const probePaths = ['/livez', '/readyz', '/metrics'];

describe('without credentials, where they are needed', () => {
  test('the probes answer, and the metrics unless they are protected', async () => {
    await using open = await startAdmin(closedToAll);
    for (const path of probePaths)
      for (const method of ['GET', 'HEAD']) expect((await open.ask(path, { method })).status).toBe(200);
    await using shut = await startAdmin({ ...closedToAll, token, protectMetrics: true });
    for (const [path, status] of [
      ['/livez', 200],
      ['/readyz', 200],
      ['/metrics', 401],
    ] as const)
      for (const method of ['GET', 'HEAD']) expect((await shut.ask(path, { method })).status).toBe(status);
    const answer = await shut.ask('/metrics', bearer(token));
    expect([answer.status, answer.body.includes('# TYPE')]).toEqual([200, true]);
  });

  test('the probes are not open for anything but reading', async () => {
    await using admin = await startAdmin(closedToAll);
    for (const path of probePaths)
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'])
        expect([method, (await admin.ask(path, { method })).status]).toEqual([method, 401]);
  });

  test('nothing else answers, whether it exists or not, by any method', async () => {
    await using admin = await startAdmin(closedToAll);
    for (const path of [
      '/',
      '/api',
      '/api/v1',
      '/api/v1/upstreams',
      '/api/v1/openapi.json',
      '/api/v1/status',
      '/api/v1/events',
      '/api/v1/prefetch',
      '/api/v1/import',
      '/api/v1/export?image=redis',
      '/api/v1/images?match=**',
      '/api/v1/images/redis/pin',
      '/nowhere',
      '/favicon.ico',
    ])
      for (const method of [
        'GET',
        'HEAD',
        'OPTIONS',
        'POST',
        'PUT',
        'DELETE',
        'PATCH',
        'TRACE',
        'PROPFIND',
        'M-SEARCH',
      ])
        expect([path, method, (await admin.ask(path, { method })).status]).toEqual([path, method, 401]);
    expect(admin.pins()).toEqual([]);
  });

  test('no way to write a path leads past the guard', async () => {
    await using admin = await startAdmin({ ...closedToAll, protectMetrics: true });
    const ends = ['upstreams', 'images/redis/pin'].flatMap((end) => [
      `/api/v1/${end}`,
      `//api/v1/${end}`,
      `/./api/v1/${end}`,
      `/livez/../api/v1/${end}`,
      `/livez/..%2fapi/v1/${end}`,
      `/livez%2f..%2fapi/v1/${end}`,
      `/livez/%2e%2e/api/v1/${end}`,
      `/livez;/../api/v1/${end}`,
      `/livez//../../api/v1/${end}`,
      `/%61pi/v1/${end}`,
      `/API/v1/${end}`,
      `/api/v1/${end}/`,
      `/api/v1/${end}?/livez`,
      `/api/v1/${end}#/livez`,
      `/api/v1/${end}%00`,
      `/api/v1/${end}%`,
      `http://localhost/api/v1/${end}`,
      `http://x/livez/../api/v1/${end}`,
      `/livez\\..\\api/v1/${end}`,
    ]);
    const others = [
      '*',
      '/livez/',
      '/livez/x',
      '/LIVEZ',
      '/readyz%20',
      '/metrics/',
      '/%6detrics',
      '/metrics?x',
      '//metrics',
      '',
    ];
    for (const target of [...ends, ...others])
      for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS']) {
        const status = await admin.statusOf(`${method} ${target} HTTP/1.1`, 'Host: localhost');
        expect([method, target, [400, 401].includes(status) ? 'refused' : status]).toEqual([method, target, 'refused']);
      }
    expect(admin.pins()).toEqual([]);
  });
});

describe('every answer', () => {
  const asked = [
    ['/livez', 'GET', 200],
    ['/readyz', 'GET', 503],
    ['/metrics', 'HEAD', 200],
    ['/api/v1/upstreams', 'GET', 200],
    ['/api/v1/images/redis/pin', 'PUT', 204],
    ['/api/v1/images/other.example/app/pin', 'PUT', 404],
    ['/api/v1/nowhere', 'GET', 404],
    ['/api/v1/status', 'PUT', 405],
    ['/api/v1/verify', 'POST', 200],
    ['/api/v1/export?image=redis', 'GET', 200],
    ['/', 'OPTIONS', 404],
    ['/fails', 'GET', 500],
  ] as const;

  async function answers() {
    const checks = [{ name: 'disk', check: async () => 'full' }];
    const upstreams = {
      route: () => {
        throw new Error('broken');
      },
      status: () => [],
    };
    await using admin = await startAdmin({ checks });
    await using broken = await startAdmin({ upstreams: () => upstreams });
    await using closed = await startAdmin({ ...closedToAll, token });
    const origin = { origin: 'http://evil.example' };
    const found = [];
    for (const [path, method, status] of asked) {
      const [on, to] = path === '/fails' ? [broken, '/api/v1/images/x/pin'] : [admin, path];
      const answer = await on.ask(to, { method: path === '/fails' ? 'PUT' : method });
      expect([path, answer.status]).toEqual([path, status]);
      found.push(answer);
    }
    found.push(await admin.ask('/api/v1/upstreams', { headers: { host: 'evil.example', ...origin } }));
    found.push(await admin.ask('/api/v1/upstreams', { headers: origin }));
    found.push(await admin.ask('/x', { method: 'PUT', headers: origin }));
    const preflight = { ...origin, 'access-control-request-method': 'PUT' };
    found.push(await admin.ask('/api/v1/images/redis/pin', { method: 'OPTIONS', headers: preflight }));
    found.push(await closed.ask('/api/v1/images/redis/pin', { method: 'OPTIONS', headers: preflight }));
    for (let count = 0; count < 11; count++) found.push(await closed.ask('/', bearer('wrong')));
    expect(new Set(found.map(({ status }) => status))).toEqual(new Set([200, 204, 401, 403, 404, 405, 429, 500, 503]));
    return found;
  }

  test('lets no browser run, frame, guess, keep or pass on anything, and no other origin read it', async () => {
    for (const { headers } of await answers()) {
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringMatching(/^default-src 'self';.*frame-ancestors 'none'/),
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  test('that refuses is JSON with one sentence, and no stack', async () => {
    for (const answer of (await answers()).filter(({ status }) => [401, 403, 404, 405, 429, 500].includes(status))) {
      expect(answer.headers['content-type']).toBe('application/json');
      expect(why(answer)).toMatch(/^[^\n]{20,200}$/);
      expect(answer.body.toString()).not.toMatch(/broken|\.ts/);
    }
  });
});

test('a path that is not here says what is', async () => {
  await using admin = await startAdmin();
  const answer = await admin.ask('/nowhere');
  expect([answer.status, why(answer)]).toEqual([404, expect.stringContaining('/livez, /readyz, /metrics and /api/v1')]);
});

test('a second request on a connection is asked for its own credentials', async () => {
  await using admin = await startAdmin({ ...closedToAll, token });
  const head = 'GET /api/v1/upstreams HTTP/1.1\r\nHost: localhost\r\n';
  const answers = await sendRaw(
    admin.url,
    `${head}Authorization: Bearer ${token}\r\n\r\n${head}Connection: close\r\n\r\n`,
  );
  expect([...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '401']);
});
