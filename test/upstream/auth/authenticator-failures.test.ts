// Token servers that refuse, hang, lie or talk without end.
import { describe, expect, test } from 'vitest';
import { FakeTokenServer } from '../../support/fake-token-server.ts';
import { type FaultEffect, refusals } from '../../support/faults.ts';
import { Gate } from '../../support/gate.ts';
import { credentials, openAuthenticator, redirect, startServer, upstreamError } from '../upstream-scene.ts';

const scope = 'repository:library/app:pull';

async function failure(effect: FaultEffect, timeoutMs = 10_000) {
  await using tokens = await FakeTokenServer.start();
  tokens.faults.add({}, effect);
  await using at = openAuthenticator({ endpoint: 'http://127.0.0.1:1', timeoutMs });
  const error = await upstreamError(at.authenticator.answer(tokens.challenge(scope), scope, undefined));
  return { failure: error.failure, message: error.message, bytesSent: tokens.server.bytesSent() };
}

describe('a token server', () => {
  test.each([
    ['unauthorized', refusals.unauthorized],
    ['denied', refusals.denied],
    ['limited', refusals.pullLimit],
    ['limited', refusals.abuseLimit],
    ['failing', refusals.serverError],
    ['failing', refusals.unavailable],
    ['protocol', refusals.notFound],
    ['unreachable', { hangUp: true }],
    ['unreachable', { dropAfter: 5 }],
  ] as const)('makes the upstream %s with %j', async (kind, effect) => {
    expect((await failure(effect)).failure).toBe(kind);
  });

  test('is quoted in its own words, with the scope', async () => {
    const { message } = await failure(refusals.denied);
    expect(message).toContain(`token for ${scope}`);
    expect(message).toContain('requested access to the resource is denied');
  });

  test.each([
    ['HTML', '<html></html>'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['an empty token', '{"token":""}'],
    ['a token that is no text', '{"token":{"a":1}}'],
    ['a token with a line break', '{"token":"abc\\r\\nx-evil: 1"}'],
    ['a token with a space', '{"token":"a b"}'],
    ['a token outside ASCII', '{"token":"é"}'],
    ['a token with a NUL', '{"token":"a\\u0000"}'],
  ])('that answers %s has given no token', async (_, body) => {
    expect(await failure({ body })).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('answers without a token'),
    });
  });

  test('is read no further than 64 KiB', async () => {
    expect(await failure({ body: JSON.stringify({ token: 'x'.repeat(64 * 1024) }) })).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('more than 65536 bytes'),
    });
    expect(await failure({ endless: true, body: '' })).toMatchObject({ failure: 'protocol' });
  });

  test('may give a token of 16 KiB, and no longer one', async () => {
    expect(await failure({ body: JSON.stringify({ token: 'x'.repeat(16 * 1024 + 1) }) })).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('above 16 KiB'),
    });
    await using tokens = await startServer({ body: JSON.stringify({ token: 'x'.repeat(16 * 1024), expires_in: 300 }) });
    await using at = openAuthenticator({ endpoint: 'http://127.0.0.1:1' });
    const challenge = `Bearer realm="${tokens.url}/token"`;
    const scopes = Array.from({ length: 520 }, (_, index) => `repository:library/app-${index}:pull`);
    const [first = '', last = ''] = [scopes[0], scopes.at(-1)];
    for (const about of scopes)
      expect(await at.authenticator.answer(challenge, about, undefined)).toMatch(/^Bearer x+$/);
    // All of them together would be more than the 8 MiB that tokens may take.
    await at.authenticator.authorization(last);
    expect(tokens.requests).toHaveLength(520);
    await at.authenticator.authorization(first);
    expect(tokens.requests).toHaveLength(521);
  });

  test('that hangs is given up', async () => {
    for (const part of ['headers', 'body'] as const) {
      const gate = new Gate();
      const held = part === 'headers' ? { holdHeaders: gate } : { holdBody: { after: 5, gate } };
      expect(await failure(held, 100)).toMatchObject({ failure: 'timeout' });
      gate.open();
    }
  });

  test('that failed is asked again the next time', async () => {
    await using tokens = await FakeTokenServer.start();
    tokens.faults.add({ times: 1 }, refusals.unavailable);
    await using at = openAuthenticator({ endpoint: 'http://127.0.0.1:1' });
    await upstreamError(at.authenticator.answer(tokens.challenge(scope), scope, undefined));
    expect(tokens.permits(await at.authenticator.authorization(scope), scope)).toBe(true);
  });

  test('that redirects to another origin does not take the password there', async () => {
    await using tokens = await startServer();
    await using other = await startServer({ body: '{"token":"abc"}' });
    redirect(tokens, '/token.*', `${other.url}/token`);
    await using at = openAuthenticator({ endpoint: 'http://127.0.0.1:1', credentials });
    const challenge = `Bearer realm="${tokens.url}/token"`;
    expect(await at.authenticator.answer(challenge, scope, undefined)).toBe('Bearer abc');
    expect(tokens.requests[0]?.headers.authorization).toMatch(/^Basic /);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });
});
