// What a client is told when the upstream refuses, fails, or says nothing: fast, once, and without a challenge.
import { describe, expect, test } from 'vitest';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { type Answer, errorOf, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
const digest = contentOf('a layer').digest;
const paths = {
  tag: `/v2/${name}/manifests/latest`,
  manifest: `/v2/${name}/manifests/${digest}`,
  blob: `/v2/${name}/blobs/${digest}`,
};

function expectNoInvitation({ headers }: Answer): void {
  for (const field of ['www-authenticate', 'retry-after', 'location', 'set-cookie', 'ratelimit-remaining'])
    expect(headers[field]).toBeUndefined();
}

describe.each(Object.entries(paths))('a %s from an upstream that', (kind, path) => {
  const unknown = kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN';
  test.each<[string, FaultEffect, number, string]>([
    ['has none', refusals.notFound, 404, unknown],
    ['denies', refusals.denied, 403, 'DENIED'],
    ['is over its limit', { ...refusals.pullLimit, headers: { 'retry-after': '60' } }, 503, 'TOOMANYREQUESTS'],
    [
      'is over another limit',
      { ...refusals.abuseLimit, headers: { 'ratelimit-remaining': '0' } },
      503,
      'TOOMANYREQUESTS',
    ],
    ['fails', refusals.serverError, 502, 'UNAVAILABLE'],
    ['is in maintenance', { ...refusals.unavailable, headers: { 'retry-after': '120' } }, 502, 'UNAVAILABLE'],
    ['challenges without an answer that helps', challenge('Basic realm="x"'), 404, unknown],
    ['hangs up', { hangUp: true }, 502, 'UNAVAILABLE'],
    ['redirects to itself', { redirect: path }, 502, 'UNAVAILABLE'],
  ])('%s', async (_what, effect, status, code) => {
    await using at = await scene();
    at.upstream.addBlob(name, 'a layer');
    at.upstream.faults.add({}, effect);
    for (const method of ['GET', 'HEAD']) {
      const answer = await at.ask(path, { method });
      expect([method, answer.status]).toEqual([method, status]);
      expectNoInvitation(answer);
      if (method === 'GET') expect(errorOf(answer)).toMatch(new RegExp(`^${code}: .`));
    }
  });

  test('refuses connections is 502', async () => {
    await using at = await scene();
    await at.upstream.close();
    const answer = await at.ask(path);
    expect([answer.status, errorOf(answer)]).toEqual([502, expect.stringMatching(/^UNAVAILABLE: .*docker\.io/)]);
  });

  test('says nothing is 504 as soon as the answer may wait no longer', async () => {
    await using at = await scene({ answerTimeoutMs: 50 });
    const gate = new Gate();
    at.upstream.faults.add({}, { holdHeaders: gate });
    const startedAt = performance.now();
    const answer = await at.ask(path);
    expect([answer.status, errorOf(answer)]).toEqual([504, expect.stringMatching(/^UNAVAILABLE: /)]);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    gate.open();
  });

  test('refuses the token it gave is 404 without a challenge', async () => {
    await using at = await scene({}, { auth: {}, missing: 'unauthorized' });
    const answer = await at.ask(path);
    expect([answer.status, errorOf(answer)]).toEqual([404, expect.stringMatching(new RegExp(`^${unknown}: `))]);
    expectNoInvitation(answer);
  });
});

function challenge(value: string): FaultEffect {
  return { ...refusals.unauthorized, headers: { 'www-authenticate': value } };
}

test('the error says what the upstream said, in one printable line', async () => {
  await using at = await scene();
  const said = JSON.stringify({
    errors: [{ code: 'DENIED', message: `no\r\nX-Evil: 1 \u0000\u001b[31m${'!'.repeat(500)}` }],
  });
  at.upstream.faults.add({}, { status: 403, contentType: 'application/json', body: said });
  const answer = await at.ask(paths.tag);
  expect(errorOf(answer)).toMatch(/^DENIED: upstream docker\.io answered 403 [\x20-\x7e]{1,400}$/);
  expect(answer.headers['x-evil']).toBeUndefined();
});

test('a fill that waits for its turn does not keep a client longer than an answer may take', async () => {
  await using at: Scene = await scene({ maxFills: 1, answerTimeoutMs: 300 });
  const gate = new Gate();
  const [slow, waiting] = ['slow', 'waiting'].map((text) => at.upstream.addBlob(name, text.repeat(100)));
  at.upstream.faults.add({ path: slow?.digest ?? '' }, { holdBody: { after: 10, gate } });
  const first = at.ask(`/v2/${name}/blobs/${slow?.digest}`);
  await gate.reached;
  expect((await at.ask(`/v2/${name}/blobs/${waiting?.digest}`)).status).toBe(504);
  gate.open();
  expect((await first).isComplete).toBe(true);
});
