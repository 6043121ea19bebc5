// Changes: none for a foreign page, and one line for each in the log, with who, what, from where and what came of it.
import { describe, expect, test } from 'vitest';
import { sendRaw } from '../http/start-registry.ts';
import { basic, bearer, closedToAll, startAdmin, why } from './start-admin.ts';

const pin = '/api/v1/images/redis:7/pin';
const pinned = ['docker.io/library/redis 7'];
const token = 'correct-horse-battery';

describe('a change that a web page asks for', () => {
  test.each<[string, Record<string, string>]>([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' }],
    ['another site, which tells no origin', { 'sec-fetch-site': 'cross-site' }],
    ['another name of the same site', { 'sec-fetch-site': 'same-site', origin: 'http://localhost:9999' }],
    ['a site that says it twice', { 'sec-fetch-site': 'same-origin, cross-site' }],
    ['another origin, in a browser that tells no more', { origin: 'http://evil.example' }],
    ['another port', { origin: 'http://127.0.0.1:1' }],
    ['a page without an origin', { origin: 'null' }],
    ['an origin that is none', { origin: '127.0.0.1:5001' }],
    ['no origin at all', { origin: '' }],
  ])('of %s is refused, and nothing is changed', async (_, headers) => {
    await using admin = await startAdmin();
    admin.records.pin({ registry: 'docker.io', path: 'library/old' }, 'latest');
    const host = '127.0.0.1:5001';
    const answer = await admin.ask(pin, { method: 'PUT', headers: { host, ...headers } });
    expect([answer.status, why(answer)]).toEqual([403, expect.stringContaining('another site')]);
    const gone = await admin.ask('/api/v1/images/old/pin', { method: 'DELETE', headers: { host, ...headers } });
    expect([gone.status, admin.pins()]).toEqual([403, ['docker.io/library/old latest']]);
  });

  test('of another site is refused although the browser shows a password along with it', async () => {
    await using admin = await startAdmin({ ...closedToAll, token });
    const headers = { ...basic('admin', token).headers, 'sec-fetch-site': 'cross-site' };
    expect((await admin.ask(pin, { method: 'PUT', headers })).status).toBe(403);
    expect(admin.pins()).toEqual([]);
  });

  test.each<[string, Record<string, string>]>([
    ['our own page', { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:5001' }],
    ['a person', { 'sec-fetch-site': 'none' }],
    ['our own page, in a browser that tells no more', { origin: 'http://localhost:5001' }],
    ['our own page behind a proxy that ends TLS', { origin: 'https://localhost:5001' }],
    ['a program', {}],
  ])('of %s is done', async (_, headers) => {
    await using admin = await startAdmin();
    const answer = await admin.ask(pin, { method: 'PUT', headers: { host: 'LOCALHOST:5001', ...headers } });
    expect([answer.status, admin.pins()]).toEqual([204, pinned]);
  });

  test('is refused by whatever method that is not known to be harmless', async () => {
    await using admin = await startAdmin();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])
      expect([method, (await admin.ask('/x', { method, headers: { 'sec-fetch-site': 'cross-site' } })).status]).toEqual(
        [method, 403],
      );
  });

  test('is no reading: a link from elsewhere leads here', async () => {
    await using admin = await startAdmin();
    expect((await admin.ask('/api/v1/upstreams', { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
  });
});

describe('the line of a change', () => {
  test('tells who did what from where, and what came of it', async () => {
    await using admin = await startAdmin();
    await admin.ask(pin, { method: 'PUT' });
    expect(admin.audit()).toEqual([
      {
        level: 30,
        time: expect.any(Number),
        audit: true,
        who: 'loopback',
        what: `PUT ${pin}`,
        from: '127.0.0.1',
        status: 204,
        msg: 'a change was asked for',
      },
    ]);
  });

  test('is one for each, refused or failed, and none for what only reads', async () => {
    await using admin = await startAdmin({ ...closedToAll, token, addressOf: () => '10.0.0.1' });
    const put = (path: string, headers = {}) => admin.ask(path, { method: 'PUT', headers });
    const known = (name: string) => ({ authorization: `Known ${name}` });
    await put(pin);
    await put(pin, known('ci'));
    await put(pin, known('admin'));
    await put(pin, bearer(token).headers);
    await put(pin, { ...known('admin'), 'sec-fetch-site': 'cross-site' });
    await put('/api/v1/images/other.example/app/pin', known('admin'));
    await put('/nowhere', known('admin'));
    await put('/livez');
    await put('/metrics', bearer('wrong').headers);
    admin.records.pin = () => {
      throw new Error('disk full');
    };
    await put(pin, known('admin'));
    await admin.ask('/api/v1/upstreams', { headers: known('admin') });
    await admin.ask(pin, { method: 'HEAD' });
    await admin.ask('/livez');
    expect(admin.audit().map(({ who, what, from, status }) => [who, what, from, status])).toEqual(
      [
        ['anonymous', `PUT ${pin}`, 401],
        ['ci', `PUT ${pin}`, 403],
        ['admin', `PUT ${pin}`, 204],
        ['admin.token', `PUT ${pin}`, 204],
        ['admin', `PUT ${pin}`, 403],
        ['admin', 'PUT /api/v1/images/other.example/app/pin', 404],
        ['admin', 'PUT /nowhere', 404],
        ['anonymous', 'PUT /livez', 401],
        ['anonymous', 'PUT /metrics', 401],
        ['admin', `PUT ${pin}`, 500],
      ].map(([who, what, status]) => [who, what, '10.0.0.1', status]),
    );
  });

  test('is one where the answer is protected twice, and of who is locked out', async () => {
    await using admin = await startAdmin({ ...closedToAll, token, protectMetrics: true });
    for (let count = 0; count < 11; count++) await admin.ask('/metrics', { method: 'POST', ...bearer('wrong') });
    expect(admin.audit().map(({ status }) => status)).toEqual([...Array(10).fill(401), 429]);
  });

  test('is one where what fails is no error', async () => {
    await using admin = await startAdmin({ host: '0.0.0.0', identify: () => Promise.reject('text') });
    await admin.ask(pin, { method: 'PUT' });
    expect(admin.audit()).toMatchObject([{ who: 'anonymous', status: 500 }]);
  });

  test.each([
    ['fatal', 1],
    ['silent', 0],
  ])('is written at the log level %s: %d', async (logLevel, count) => {
    await using admin = await startAdmin({ logLevel });
    await admin.ask(pin, { method: 'PUT' });
    await admin.ask(pin, { method: 'DELETE' });
    expect(admin.logLines).toHaveLength(2 * count);
  });

  test('has no secret of the request in it, and neither has any other', async () => {
    await using admin = await startAdmin({ host: '0.0.0.0', token });
    const secret = 'c2VjcmV0';
    const headers = {
      'proxy-authorization': secret,
      cookie: secret,
      referer: `http://x/${secret}`,
      'x-forwarded-for': secret,
    };
    for (const shown of [bearer(secret), basic('admin', secret), basic(secret, ''), bearer(token)])
      for (const path of [pin, '/nowhere', '/metrics'])
        await admin.ask(`${path}?token=${secret}#${secret}`, {
          method: 'PUT',
          headers: { ...headers, ...shown.headers },
        });
    for (const scheme of ['http', 'https'])
      await admin.statusOf(`PUT ${scheme}://admin:${secret}@localhost/x?y=${secret} HTTP/1.1`, 'Host: localhost');
    expect(admin.audit()).toHaveLength(14);
    const text = JSON.stringify(admin.logLines);
    for (const form of [secret, token, Buffer.from(`admin:${secret}`).toString('base64'), 'admin:'])
      expect(text).not.toContain(form);
  });

  test('cannot be forged by what is in the path', async () => {
    await using admin = await startAdmin();
    const paths = [
      '/a%0a{"audit":true,"who":"admin"}',
      '/a%0d%0aforged',
      '/a\tb',
      '/a\fb',
      '/a\x9b2Jb',
      '/a\x85b',
      '/%1b[2J%E2%80%AE',
      `/${'x'.repeat(5000)}`,
    ];
    for (const path of paths)
      await sendRaw(admin.url, `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await sendRaw(
      admin.url,
      'PUT http://localhost/a%0a%1b%E2%80%AE%C2%85 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(admin.audit()).toHaveLength(5);
    for (const { what, msg } of admin.audit()) {
      expect(what).toMatch(/^PUT \/[^\p{C}\p{Z}]*$/u);
      expect(String(what).length).toBeLessThan(1100);
      expect(msg).toBe('a change was asked for');
    }
  });

  test('cannot be forged by a name or an address', async () => {
    const identify = () => ({ name: 'ci\n\x1b[2J\u2028\u202eadmin', by: 'identity' }) as const;
    await using admin = await startAdmin({ host: '0.0.0.0', identify, addressOf: () => '10.0.0.1\r\n10.0.0.2' });
    await admin.ask(pin, { method: 'PUT' });
    expect(admin.audit()).toMatchObject([
      { who: 'ci\\u{a}\\u{1b}[2J\\u{2028}\\u{202e}admin', from: '10.0.0.1\\u{d}\\u{a}10.0.0.2', status: 403 },
    ]);
  });
});
