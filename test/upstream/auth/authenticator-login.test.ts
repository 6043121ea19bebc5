// Logins at a token server: refused, renewed, limited, and out of reach.
import { describe, expect, test } from 'vitest';
import { basic, FakeTokenServer, type TokenOptions } from '../../support/fake-token-server.ts';
import { refusals } from '../../support/faults.ts';
import { Gate } from '../../support/gate.ts';
import { laterClock } from '../../support/later-clock.ts';
import {
  type AuthenticatorSceneOptions,
  changedLogin,
  credentials,
  openAuthenticator,
  upstreamError,
} from '../upstream-scene.ts';

const scope = 'repository:library/app:pull';
const other = 'repository:library/other:pull';
const good = basic(credentials.username, credentials.password);

async function scene(options: TokenOptions, how: Omit<AuthenticatorSceneOptions, 'endpoint'>) {
  const tokens = await FakeTokenServer.start(options);
  const opened = openAuthenticator({ endpoint: 'http://127.0.0.1:1', ...how });
  return {
    ...opened,
    tokens,
    ask: (about = scope) => opened.authenticator.answer(tokens.challenge(about), about, undefined),
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await tokens.close();
    },
  };
}

describe('an identity token', () => {
  test('is posted as a refresh token, and is in no address', async () => {
    await using at = await scene({ identityToken: 'refresh me' }, { credentials: { identityToken: 'refresh me' } });
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
    expect(at.tokens.requests).toMatchObject([{ method: 'POST', path: '/token' }]);
    expect(at.tokens.requests[0]?.headers.authorization).toBeUndefined();
    expect(at.tokens.requests[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded');
  });

  test('that is refused is a login that is refused', async () => {
    await using at = await scene({ identityToken: 'another' }, { credentials: { identityToken: 'refresh me' } });
    expect((await upstreamError(at.ask())).failure).toBe('login');
    expect(at.authenticator.isRefused).toBe(true);
  });

  // https://www.rfc-editor.org/rfc/rfc6749#section-5.2
  test.each(['{"error":"invalid_grant"}', '{"errors":[{"code":"UNAUTHORIZED"}]}', ''])(
    'is one as well where the token server says 400: %s',
    async (body) => {
      await using at = await scene({}, { credentials: { identityToken: 'refresh me' } });
      at.tokens.faults.add({}, { status: 400, body });
      expect((await upstreamError(at.ask())).failure).toBe('login');
      expect((await upstreamError(at.ask(other))).failure).toBe('login');
      expect(at.tokens.requests).toHaveLength(1);
    },
  );

  test.each(['invalid_request', 'invalid_scope', 'unsupported_grant_type'])(
    'is none where the question is at fault: %s',
    async (error) => {
      await using at = await scene({}, { credentials: { identityToken: 'refresh me' } });
      at.tokens.faults.add({}, { status: 400, body: JSON.stringify({ error }) });
      expect((await upstreamError(at.ask())).failure).toBe('protocol');
      expect(at.authenticator.isRefused).toBe(false);
    },
  );

  test('is nothing that a registry can be shown which wants a password', async () => {
    await using at = await scene({}, { credentials: { identityToken: 'refresh me' } });
    const answering = at.authenticator.answer('Basic realm="x"', scope, undefined);
    expect(await upstreamError(answering)).toMatchObject({
      failure: 'login',
      message: expect.stringContaining('wants a password'),
    });
  });
});

describe('a token server that refuses the password', () => {
  test('is shown it once a minute, whatever is asked for', async () => {
    using clock = laterClock();
    await using at = await scene({ credentials: { ...credentials, password: 'another' } }, { credentials });
    const error = await upstreamError(at.ask());
    expect(error.failure).toBe('login');
    expect(error.message).toContain('see upstreams.registry.test.credentials');
    await upstreamError(at.ask(other));
    expect(at.authenticator.isRefused).toBe(true);
    expect(at.tokens.requests).toHaveLength(1);
    clock.pass(61);
    expect(at.authenticator.isRefused).toBe(false);
    await upstreamError(at.ask(other));
    expect(at.tokens.requests).toHaveLength(2);
  });

  test('gets the new one where there is one', async () => {
    await using at = await scene({ credentials }, { login: changedLogin() });
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
    expect(at.tokens.requests.map(({ status }) => status)).toEqual([401, 200]);
    expect(at.authenticator.isRefused).toBe(false);
  });

  test('gets the new one where it says 403, as ghcr.io does', async () => {
    await using at = await scene({ credentials }, { login: changedLogin() });
    at.tokens.faults.add({ times: 1 }, refusals.denied);
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
    expect(at.tokens.requests.map(({ status }) => status)).toEqual([403, 200]);
  });

  test('for one repository is no refused login', async () => {
    await using at = await scene({ credentials }, { credentials });
    at.tokens.faults.add({ path: 'library%2Fapp' }, refusals.denied);
    expect((await upstreamError(at.ask())).failure).toBe('denied');
    expect(at.tokens.permits(await at.ask(other), other)).toBe(true);
    expect(at.authenticator.isRefused).toBe(false);
  });

  test('with 403, whatever it is for, is shown it no more', async () => {
    await using at = await scene({ credentials }, { credentials });
    at.tokens.faults.add({}, refusals.denied);
    const scopes = Array.from({ length: 50 }, (_, index) => `repository:library/app-${index}:pull`);
    const errors = await Promise.all(scopes.map((about) => upstreamError(at.ask(about))));
    expect(new Set(errors.map(({ failure }) => failure))).toEqual(new Set(['login']));
    expect(at.authenticator.problem).toContain(`its token server ${at.tokens.server.host} answered 403`);
    // The second, for nothing in particular, is how `docker login` asks.
    expect(at.tokens.requests.map(({ path }) => path.includes('scope'))).toEqual([true, false]);
  });

  test.each(['unauthorized', 'denied'] as const)(
    'for one repository, after it took it for another, is no refused login: %s',
    async (how) => {
      await using at = await scene({ credentials }, { credentials });
      await at.ask(other);
      at.tokens.faults.add({ path: 'library%2Fapp' }, refusals[how]);
      const errors = await Promise.all(Array.from({ length: 10 }, () => upstreamError(at.ask())));
      expect(new Set(errors.map(({ failure }) => failure))).toEqual(new Set(['denied']));
      expect(errors[0]?.message).toContain(scope);
      expect(at.authenticator.isRefused).toBe(false);
      expect(at.tokens.requests.map(({ path }) => path.includes('library%2Fapp'))).toEqual([false, true, false]);
    },
  );

  test.each(['unauthorized', 'denied'] as const)(
    'for everything that it took it for before is one: %s',
    async (how) => {
      await using at = await scene({ credentials }, { credentials });
      await at.ask(other);
      at.tokens.faults.add({}, refusals[how]);
      expect((await upstreamError(at.ask())).failure).toBe('login');
      expect(at.authenticator.isRefused).toBe(true);
      expect(at.tokens.requests).toHaveLength(3);
    },
  );

  test.each([
    ['unauthorized', refusals.unauthorized],
    ['denied', refusals.denied],
  ] as const)('where there is none says that the thing is missing or private: %s', async (failure, effect) => {
    await using at = await scene({}, {});
    at.tokens.faults.add({}, effect);
    expect((await upstreamError(at.ask())).failure).toBe(failure);
    expect(at.authenticator.isRefused).toBe(false);
  });

  test('is not quoted: it may say again what it was shown', async () => {
    for (const status of [400, 401, 403, 429, 500]) {
      await using at = await scene({}, { credentials });
      const message = `no ${good} for ${credentials.password}`;
      at.tokens.faults.add({}, { status, body: JSON.stringify({ errors: [{ code: 'DENIED', message }] }) });
      const error = await upstreamError(at.ask());
      expect(error.message).toContain(String(status));
      expect(error.message).not.toMatch(/correct horse|Basic/);
    }
  });
});

describe('a token server that is limited', () => {
  test.each([
    ['as long as it says', { 'retry-after': '30' }, 28, 38],
    ['a minute where it does not say', undefined, 58, 75],
  ])('rests %s', async (_, headers, resting, over) => {
    using clock = laterClock();
    await using at = await scene({}, {});
    const fault = at.tokens.faults.add({}, { ...refusals.pullLimit, ...(headers && { headers }) });
    expect((await upstreamError(at.ask())).failure).toBe('limited');
    fault.remove();
    clock.pass(resting);
    const error = await upstreamError(at.ask());
    expect(error.failure).toBe('away');
    expect(error.message).toContain(`its token server ${at.tokens.server.host} rests: `);
    expect(error.retryAfterMs).toBeGreaterThan(0);
    expect(at.tokens.requests).toHaveLength(1);
    clock.pass(over - resting);
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
  });
});

describe('a token server that hangs', () => {
  test('is waited for once, and then everything fails at once', async () => {
    await using at = await scene({}, { timeoutMs: 100 });
    const gate = new Gate();
    at.tokens.faults.add({}, { holdHeaders: gate });
    expect((await upstreamError(at.ask())).failure).toBe('timeout');
    expect((await upstreamError(at.ask(other))).failure).toBe('away');
    expect(at.tokens.requests).toHaveLength(1);
    expect(at.authenticator.tokenServer).toBe(at.tokens.server.host);
    gate.open();
  });

  test('does not spoil a token that is still good', async () => {
    await using at = await scene({}, { timeoutMs: 100 });
    const known = await at.ask();
    const gate = new Gate();
    at.tokens.faults.add({}, { holdHeaders: gate });
    await upstreamError(at.ask(other));
    expect(await at.authenticator.authorization(scope)).toBe(known);
    gate.open();
  });
});
