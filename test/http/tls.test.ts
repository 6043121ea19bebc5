// TLS on a listener: who clients are by their certificates, and how certificates and authorities change under way.
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pems } from '../../src/http/tls.ts';
import { Gate } from '../support/gate.ts';
import { until } from '../support/until.ts';
import { Authority } from './certificates.ts';
import { RawConnection } from './raw-connection.ts';
import { longAnswer, startTlsListener, type TlsClient, type TlsListener } from './tls-listener.ts';

let ours: Authority;
let others: Authority;
let first: Pems;
let second: Pems;
let ci: Pems;
let foreign: Pems;

beforeAll(async () => {
  [ours, others] = await Promise.all([Authority.create(), Authority.create()]);
  [first, second, ci, foreign] = await Promise.all([
    ours.server(),
    ours.server(),
    ours.client('/CN=ci'),
    others.client('/CN=ci'),
  ]);
});
afterAll(() => Promise.all([ours, others].map((authority) => authority[Symbol.asyncDispose]())));

const trusting = (authority: Authority, pair = first): Pems => ({ ...pair, clientCa: authority.certificate });
const showing = ({ cert, key }: Pems): ConnectionOptions => ({ cert, key });
const versions = ['TLSv1.2', 'TLSv1.3'] as const;
const only = (version: (typeof versions)[number]) => ({ minVersion: version, maxVersion: version });

function fingerprintOf({ tls }: TlsClient): string {
  return tls.getPeerCertificate().fingerprint256;
}

describe.each(versions)('over %s a client', (version) => {
  test('with a certificate of our authority is its common name', async () => {
    await using at = await startTlsListener(trusting(ours));
    const client = await at.connect({ ...only(version), ...showing(ci) });
    expect([client.tls.getProtocol(), await client.name(), await client.name()]).toEqual([version, 'ci', 'ci']);
  });

  test('with a certificate of another authority, of the same name, is nobody', async () => {
    await using at = await startTlsListener(trusting(ours));
    expect(await (await at.connect({ ...only(version), ...showing(foreign) })).name()).toBe('nobody');
  });

  test('without a certificate is nobody', async () => {
    await using at = await startTlsListener(trusting(ours));
    expect(await (await at.connect(only(version))).name()).toBe('nobody');
  });

  test('whose certificate nobody asked for is nobody', async () => {
    await using at = await startTlsListener(first);
    expect(await (await at.connect({ ...only(version), ...showing(ci) })).name()).toBe('nobody');
  });

  test('resumes a session where certificates mean nothing, and never where they do', async () => {
    const resumes = async (pems: Pems) => {
      await using at = await startTlsListener(pems);
      const options = { ...only(version), ...showing(ci) };
      const { session } = await sessionOf(at, options);
      const again = await at.connect({ ...options, session });
      return [await again.name(), again.tls.isSessionReused()];
    };
    expect(await resumes(first)).toEqual(['nobody', true]);
    expect(await resumes(trusting(ours))).toEqual(['ci', false]);
  });

  test('cannot carry the word of a former authority on in a session', async () => {
    await using at = await startTlsListener(trusting(ours));
    const options = { ...only(version), ...showing(ci) };
    const { session, name } = await sessionOf(at, options);
    expect(name).toBe('ci');
    at.server.useTls(trusting(others));
    for (const given of [options, only(version)]) {
      const again = await at.connect({ ...given, session });
      expect([await again.name(), again.tls.isSessionReused()]).toEqual(['nobody', false]);
    }
    expect(await (await at.connect({ ...only(version), ...showing(foreign) })).name()).toBe('ci');
  });
});

test('a resumed session without a certificate is nobody still', async () => {
  await using at = await startTlsListener(trusting(ours));
  const { session } = await sessionOf(at, {});
  expect(await (await at.connect({ session })).name()).toBe('nobody');
});

/** A session of a connection that has had an answer: TLS 1.3 sends its tickets behind the handshake. */
async function sessionOf(at: TlsListener, options: ConnectionOptions) {
  const client = await at.connect(options);
  const name = await client.name();
  const session = await until('a session', () => client.session ?? client.tls.getSession());
  return { session, name };
}

describe('the common name', () => {
  test.each([
    ['/O=acme/CN=ci-runner.7', 'ci-runner.7'],
    ['/CN=system:node:n1', 'system:node:n1'],
    ['/CN=bot@acme.example', 'bot@acme.example'],
    ['/O=acme', 'nobody'],
    ['/CN=ci/CN=admin', 'nobody'],
    ['/CN=*', 'nobody'],
    ['/CN=c*', 'nobody'],
    ['/CN=anonymous', 'nobody'],
    ['/CN=two words', 'nobody'],
    ['/CN=a\\/b', 'nobody'],
    ['/CN=cï', 'nobody'],
    ['/CN=ci\n', 'nobody'],
    ['/CN= ', 'nobody'],
  ])('of %j is %s', async (subject, name) => {
    await using at = await startTlsListener(trusting(ours));
    expect(await (await at.connect(showing(await ours.client(subject)))).name()).toBe(name);
  });

  test('of a certificate that is for servers is nobody', async () => {
    await using at = await startTlsListener(trusting(ours));
    expect(await (await at.connect(showing(second))).name()).toBe('nobody');
  });
});

describe('a new certificate', () => {
  test('is for new connections, while a long answer over an old one goes on', async () => {
    const gate = new Gate();
    await using at = await startTlsListener(trusting(ours), { gate });
    const old = await at.connect(showing(ci));
    const idle = await at.connect(showing(ci));
    expect(await idle.name()).toBe('ci');
    old.get('/long');
    await gate.reached;
    at.server.useTls(trusting(ours, second));
    const fresh = await at.connect(showing(ci));
    expect(await fresh.name()).toBe('ci');
    expect(new Set([old, idle].map(fingerprintOf)).size).toBe(1);
    expect(fingerprintOf(fresh)).not.toBe(fingerprintOf(old));
    gate.open();
    expect(longAnswer.equals(await bodyOf(old, longAnswer.length))).toBe(true);
    expect([await old.name(), await idle.name()]).toEqual(['ci', 'ci']);
  });

  test.each<[string, () => Pems, RegExp]>([
    ['whose key is of another', () => ({ ...second, key: first.key }), /key values mismatch/],
    ['that is none', () => ({ ...second, cert: 'junk' }), /no start line/],
    ['that is empty', () => ({ ...second, cert: ' ' }), /a text is empty/],
    ['with an empty key', () => ({ ...second, key: '' }), /a text is empty/],
    ['with empty authorities', () => ({ ...second, clientCa: '' }), /no start line/],
    ['with authorities that are none', () => ({ ...second, clientCa: 'junk' }), /no start line/],
    ['without authorities', () => ({ ...second, clientCa: undefined }), /with a restart only/],
  ])('%s changes nothing, and says why', async (_what, pems, why) => {
    await using at = await startTlsListener(trusting(ours));
    const before = await at.connect(showing(ci));
    const attempt = () => at.server.useTls({ clientCa: others.certificate, ...pems() });
    expect(attempt).toThrow(/^the new TLS certificate cannot be used: [^\n]*; the old one stays$/);
    expect(attempt).toThrow(why);
    const after = await at.connect(showing(ci));
    expect(fingerprintOf(after)).toBe(fingerprintOf(before));
    expect([await before.name(), await after.name()]).toEqual(['ci', 'ci']);
  });

  test('does not let older protocols in', async () => {
    await using at = await startTlsListener(first);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
    const refusal = { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' };
    await expect(at.connect(old)).rejects.toMatchObject(refusal);
    at.server.useTls(second);
    await expect(at.connect(old)).rejects.toMatchObject(refusal);
  });
});

describe('new authorities', () => {
  test('end what is proven by the old ones: idle connections at once, others with their answer', async () => {
    const gate = new Gate();
    await using at = await startTlsListener(trusting(ours), { gate });
    const [idle, running] = await Promise.all([at.connect(showing(ci)), at.connect(showing(ci))]);
    expect(await idle.name()).toBe('ci');
    running.get('/long');
    await gate.reached;
    at.server.useTls(trusting(others));
    expect(await idle.closed).toContain('[ci]');
    running.get('/name');
    gate.open();
    await running.closed;
    expect(longAnswer.equals(bodyIn(running.bytes))).toBe(true);
    expect(await (await at.connect(showing(ci))).name()).toBe('nobody');
    expect(await (await at.connect(showing(foreign))).name()).toBe('ci');
  });

  test('count for a request that asks who its client is after the change', async () => {
    const gate = new Gate();
    await using at = await startTlsListener(trusting(ours), { gate });
    const client = await at.connect(showing(ci));
    client.get('/held');
    await gate.reached;
    at.server.useTls(trusting(others));
    gate.open();
    expect(await client.closed).toMatch(/\[nobody\]$/);
  });

  test('count for a handshake that has not ended', async () => {
    await using at = await startTlsListener(trusting(ours));
    const { hostname, port } = new URL(at.url);
    const tcp = connectTcp(Number(port), hostname);
    // Connections are taken in the order they come: when this one has its answer, the other is known.
    expect(await (await at.connect(showing(ci))).name()).toBe('ci');
    at.server.useTls(trusting(others));
    const late = new RawConnection(connectTls({ socket: tcp, rejectUnauthorized: false, ...showing(ci) }));
    expect(await late.get('/name').closed).toBe('');
  });

  test('that are the same as before end nothing', async () => {
    await using at = await startTlsListener(trusting(ours));
    const client = await at.connect(showing(ci));
    expect(await client.name()).toBe('ci');
    at.server.useTls(trusting(ours, second));
    expect(await client.name()).toBe('ci');
  });
});

test('a listener that speaks plain HTTP takes no certificate', async () => {
  await using at = await startTlsListener(first, { tls: undefined });
  expect(() => at.server.useTls(first)).toThrow('speaks plain HTTP');
});

describe('a TLS connection', () => {
  test('counts for its address before its handshake, and no more once it has closed', async () => {
    await using at = await startTlsListener(first, { perAddress: 2, headMs: 400 });
    const silent = RawConnection.to(at.url);
    const half = RawConnection.to(at.url).say('\u0016\u0003\u0001');
    await expect(until('one too many', () => at.connect(), { timeoutMs: 150 })).rejects.toThrow();
    expect(await Promise.all([silent.closed, half.closed])).toEqual(['', '']);
    const places = ['a place is free', 'so is the other'];
    const whole = await Promise.all(places.map((place) => until(place, () => at.connect())));
    await expect(at.connect()).rejects.toThrow();
    for (const client of whole) client[Symbol.dispose]();
    await until('a place is free', () => at.connect());
  });

  test('without a handshake is not waited for by a server that stops', async () => {
    const at = await startTlsListener(first, { headMs: 60_000 });
    const silent = RawConnection.to(at.url);
    await at.connect();
    await at.server.stop(60_000);
    expect(await silent.closed).toBe('');
  });

  test('whose handshake never ends does not hold up a server that stops beyond its time', async () => {
    const at = await startTlsListener(first, { headMs: 60_000 });
    const half = RawConnection.to(at.url).say('\u0016\u0003\u0001');
    await at.connect();
    await at.server.stop(50);
    expect(await half.closed).toBe('');
  });
});

async function bodyOf(client: TlsClient, length: number): Promise<Buffer> {
  return until('the whole body', () => {
    const body = bodyIn(client.bytes);
    return body.length >= length && body;
  });
}

function bodyIn(bytes: Buffer): Buffer {
  return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
}
