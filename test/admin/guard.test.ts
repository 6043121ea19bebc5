// Who gets in: this machine's programs on loopback, the token, the principal admin; and nobody else, whatever is asked.
import { describe, expect, test } from 'vitest';
import { nobody, type Principal } from '../../src/access/principal.ts';
import { Gate } from '../support/gate.ts';
import { basic, bearer, closedToAll, knownByHeader, startAdmin, why } from './start-admin.ts';

const anything = '/api/v1/upstreams';
const token = 'correct-horse-battery';
const local = 'Host: 127.0.0.1';

describe('on loopback without a token', () => {
  test.each(['127.0.0.1', '127.5.5.5', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost', 'LocalHost'])(
    'everything is open when it listens on %s',
    async (host) => {
      await using admin = await startAdmin({ host });
      expect((await admin.ask(anything)).status).toBe(200);
    },
  );

  test.each(['localhost', 'localhost:8080', 'LOCALHOST', '127.0.0.1', '127.9.9.9:5001', '[::1]', '[::1]:5001'])(
    'it may be asked for as %s',
    async (host) => {
      await using admin = await startAdmin();
      expect(await admin.statusOf(`GET ${anything} HTTP/1.1`, `Host: ${host}`)).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'evil.example:5001',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil-localhost',
    'localhost.',
    '192.168.0.1',
    '0.0.0.0',
    '[::]',
    '[2001:db8::1]:5001',
  ])('a web page whose name %s was pointed here gets nothing', async (host) => {
    await using admin = await startAdmin();
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT'])
      expect(await admin.statusOf(`${method} /api/v1/images/app/pin HTTP/1.1`, `Host: ${host}`)).toBe(403);
    expect(admin.pins()).toEqual([]);
  });

  test('a request without a Host gets nothing, but the probes answer it', async () => {
    await using admin = await startAdmin();
    expect(await admin.statusOf(`GET ${anything} HTTP/1.0`)).toBe(403);
    expect(await admin.statusOf('GET /livez HTTP/1.0')).toBe(200);
  });

  test.each(['Forwarded: for=10.0.0.1', 'X-Forwarded-For: 10.0.0.1', 'X-Real-IP: 10.0.0.1', 'Via: 1.1 proxy'])(
    'who comes through a proxy, as %s shows, gets nothing',
    async (header) => {
      await using admin = await startAdmin();
      expect(await admin.statusOf(`GET ${anything} HTTP/1.1`, local, header)).toBe(403);
    },
  );

  test('a refusal says what to do and asks for no password', async () => {
    await using admin = await startAdmin();
    const answer = await admin.ask(anything, { headers: { host: 'evil.example' } });
    expect(why(answer)).toContain('set admin.token');
    expect(answer.headers).not.toHaveProperty('www-authenticate');
  });
});

describe.each(['127.0.0.1', '0.0.0.0'])('with a token, listening on %s', (host) => {
  test('the token opens it, as a bearer token or as the password of admin', async () => {
    await using admin = await startAdmin({ host, token });
    for (const asking of [bearer(token), { headers: { authorization: `bearer  ${token}` } }, basic('admin', token)])
      expect((await admin.ask(anything, asking)).status).toBe(200);
  });

  test.each([
    ['nothing', {}],
    ['another token', bearer('wrong')],
    ['the beginning of the token', bearer(token.slice(0, -1))],
    ['more than the token', bearer(`${token}x`)],
    ['an empty token', bearer('')],
    ['the token of another scheme', { headers: { authorization: token } }],
    ['the token as the password of somebody else', basic('root', token)],
    ['the token as a user', basic(token, '')],
    ['an empty password', basic('admin', '')],
  ])('%s does not, and is asked for a password', async (_, asking) => {
    await using admin = await startAdmin({ host, token });
    const answer = await admin.ask(anything, asking);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Basic realm="stillwater admin"');
    expect(why(answer)).toContain('admin.token');
  });

  test('any Host will do', async () => {
    await using admin = await startAdmin({ host, token });
    const headers = { ...bearer(token).headers, host: 'mirror.example' };
    expect((await admin.ask(anything, { headers })).status).toBe(200);
  });
});

test('the token may be of any characters that a header can hold', async () => {
  await using admin = await startAdmin({ host: '0.0.0.0', token: 'p@ss: "word"!' });
  expect((await admin.ask(anything, bearer('p@ss: "word"!'))).status).toBe(200);
});

test('an empty token opens nothing', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    await using admin = await startAdmin({ host, token: '' });
    for (const asking of [{}, bearer(''), basic('admin', '')])
      expect((await admin.ask(anything, asking)).status).toBe(401);
  }
});

describe('on an address that others reach', () => {
  test('nobody gets in without a token or a principal, whatever the Host says', async () => {
    await using admin = await startAdmin({ host: '0.0.0.0' });
    for (const host of ['127.0.0.1', 'localhost', 'mirror.example'])
      expect((await admin.ask(anything, { headers: { host } })).status).toBe(401);
  });

  test.each(['127.1', '::', '10.0.0.1', 'mirror.example', 'localhost.example', '127.0.0.1.example'])(
    '%s is such an address',
    async (host) => {
      await using admin = await startAdmin({ host });
      expect((await admin.ask(anything)).status).toBe(401);
    },
  );

  test.each(['password', 'token', 'identity'] as const)('the principal admin gets in by %s', async (by) => {
    await using admin = await startAdmin({ host: '0.0.0.0', identify: () => ({ name: 'admin', by }) });
    expect((await admin.ask(anything)).status).toBe(200);
  });

  test('any other principal is forbidden, without being asked for a password', async () => {
    await using admin = await startAdmin({ ...closedToAll, token });
    for (const name of ['ci', 'Admin', 'administrator', 'anonymous', '*']) {
      const answer = await admin.ask(anything, { headers: { authorization: `Known ${name}` } });
      expect([name, answer.status]).toEqual([name, 403]);
      expect(answer.headers).not.toHaveProperty('www-authenticate');
    }
    for (const host of ['10.0.0.1', 'mirror.example:5001'])
      expect((await admin.ask(anything, { headers: { host, authorization: 'Known admin' } })).status).toBe(200);
  });

  test('a token called admin that is for some repositories only is forbidden', async () => {
    const identify = (): Principal => ({ name: 'admin', by: 'token', covers: () => true });
    await using admin = await startAdmin({ host: '0.0.0.0', identify });
    expect((await admin.ask(anything)).status).toBe(403);
  });

  test('who is told apart is whoever asks: its address, its credentials, and no certificate', async () => {
    const callers: unknown[] = [];
    const identify = (caller: unknown) => {
      callers.push(caller);
      return nobody;
    };
    const addressOf = (peer: string, forwardedFor: string | undefined) => `${peer} for ${forwardedFor}`;
    await using admin = await startAdmin({ host: '0.0.0.0', identify, addressOf });
    await admin.ask(anything, { headers: { 'x-forwarded-for': '10.0.0.1', authorization: 'Basic x' } });
    await admin.ask(anything);
    expect(callers).toEqual([
      { address: '127.0.0.1 for 10.0.0.1', authorization: 'Basic x', certificate: undefined },
      { address: '127.0.0.1 for undefined', authorization: undefined, certificate: undefined },
    ]);
  });

  test('nobody gets in when it cannot be found out who asks', async () => {
    const identify = () => Promise.reject(new Error('the issuer with password hunter2 is away'));
    await using admin = await startAdmin({ host: '0.0.0.0', identify });
    const answer = await admin.ask(anything);
    expect([answer.status, answer.body.includes('hunter2')]).toEqual([500, false]);
  });

  test('admin by its address alone asks for an IP address, not for a name that a web page may have pointed here', async () => {
    const identify = (): Principal => ({ name: 'admin', by: 'network' });
    await using admin = await startAdmin({ host: '0.0.0.0', identify });
    for (const host of ['10.0.0.1', '10.0.0.1:5001', '[2001:db8::1]:5001', 'localhost:5001'])
      expect([host, await admin.statusOf(`GET ${anything} HTTP/1.1`, `Host: ${host}`)]).toEqual([host, 200]);
    for (const host of ['evil.example', 'evil.example:5001'])
      expect([host, await admin.statusOf(`GET ${anything} HTTP/1.1`, `Host: ${host}`)]).toEqual([host, 403]);
    expect(await admin.statusOf(`GET ${anything} HTTP/1.0`)).toBe(403);
  });
});

describe('wrong credentials', () => {
  const wrong = bearer('wrong');

  test('are refused after ten of them, the right ones too, for as long as it says', async () => {
    await using admin = await startAdmin({ host: '0.0.0.0', token });
    for (let count = 0; count < 10; count++) expect((await admin.ask(anything, wrong)).status).toBe(401);
    admin.pass(20.5);
    for (const asking of [wrong, bearer(token), basic('admin', token), {}]) {
      const answer = await admin.ask(anything, asking);
      expect([answer.status, answer.headers['retry-after']]).toEqual([429, '40']);
      expect(why(answer)).toContain('40 s');
    }
    expect((await admin.ask('/livez')).status).toBe(200);
    admin.pass(40);
    expect((await admin.ask(anything, bearer(token))).status).toBe(200);
  });

  test('count for the address that they came from alone', async () => {
    const addressOf = (_: string, forwardedFor = '') => forwardedFor;
    await using admin = await startAdmin({ host: '0.0.0.0', token, addressOf });
    const from = (address: string, shown: string) =>
      admin.ask(anything, { headers: { ...bearer(shown).headers, 'x-forwarded-for': address } });
    for (let count = 0; count < 10; count++) await from('10.0.0.1', 'wrong');
    expect((await from('10.0.0.1', token)).status).toBe(429);
    expect((await from('10.0.0.2', token)).status).toBe(200);
  });

  test('also count from a network that has a name', async () => {
    const identify = (): Principal => ({ name: 'office', by: 'network' });
    await using admin = await startAdmin({ host: '0.0.0.0', token, identify });
    for (let count = 0; count < 10; count++) await admin.ask(anything, wrong);
    expect((await admin.ask(anything, wrong)).status).toBe(429);
  });

  test('are not those of who shows none, nor those of a principal that is known', async () => {
    await using admin = await startAdmin({ ...closedToAll, token });
    const ci = { headers: { authorization: 'Known ci' } };
    for (let count = 0; count < 15; count++) {
      expect((await admin.ask(anything)).status).toBe(401);
      expect((await admin.ask(anything, ci)).status).toBe(403);
    }
    expect((await admin.ask(anything, bearer(token))).status).toBe(200);
  });

  test('cannot be tried faster than they are counted', async () => {
    const gate = new Gate();
    const identify = async () => {
      await gate.pass();
      return nobody;
    };
    await using admin = await startAdmin({ host: '0.0.0.0', token, identify });
    const first = Array.from({ length: 10 }, () => admin.ask(anything, wrong));
    while (gate.arrivals < 10) await new Promise((resolve) => setImmediate(resolve));
    const next = await admin.ask(anything, wrong);
    expect([next.status, next.headers['retry-after'], gate.arrivals]).toEqual([429, '1', 10]);
    expect((await admin.ask(anything, bearer(token))).status).toBe(200);
    gate.open();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual(Array(10).fill(401));
    admin.pass(60);
    expect((await admin.ask(anything, wrong)).status).toBe(401);
  });
});

test('a principal that is found out about by and by is waited for', async () => {
  const identify = async (caller: Parameters<typeof knownByHeader>[0]) => knownByHeader(caller);
  await using admin = await startAdmin({ host: '0.0.0.0', identify });
  expect((await admin.ask(anything, { headers: { authorization: 'Known admin' } })).status).toBe(200);
  expect((await admin.ask(anything, { headers: { authorization: 'Known ci' } })).status).toBe(403);
});
