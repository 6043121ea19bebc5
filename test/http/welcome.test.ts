// The page at /: it shows the address it was asked under, and that address cannot write into it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Scene, scene, sendRaw } from './start-registry.ts';

let at: Scene;
beforeAll(async () => {
  at = await scene();
});
afterAll(() => at[Symbol.asyncDispose]());

describe('the page at /', () => {
  test('says how to point each client here', async () => {
    const { status, headers, body } = await at.ask('/', { headers: { host: 'mirror.example:5000' } });
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/html/);
    for (const line of [
      '{"registry-mirrors": ["http://mirror.example:5000"]}',
      'mirror.example:5000/docker.io',
      'http = true',
    ])
      expect(body.toString().replaceAll('&#34;', '"')).toContain(line);
  });

  test('lets no script run', async () => {
    expect((await at.ask('/')).headers['content-security-policy']).toContain("default-src 'none'");
  });

  test.each(['a"onload="x', "a'b", 'a&b', '<script>alert(1)</script>', 'a.example:5000/"><script>'])(
    'keeps the host %s out of its markup',
    async (host) => {
      const answer = await sendRaw(at.registry.url, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(head).toMatch(/^HTTP\/1\.1 (200|400) /);
      expect(body).not.toContain(host);
      expect(body).not.toMatch(/<script|onload="/);
    },
  );

  test('is all there is outside of the registry API', async () => {
    const { status, body } = await at.ask('/favicon.ico');
    expect([status, body.toString()]).toEqual([404, expect.stringContaining('/v2/')]);
  });

  test('does not answer for paths that only normalise to it', async () => {
    for (const path of ['/v2/..', '/v2/a/../../', '/x/..']) expect((await at.ask(path)).status).not.toBe(200);
  });
});
