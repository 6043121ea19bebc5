// What a registry is shown after its challenge: nothing, a password, or a token that is kept as long as it may be.
import { describe, expect, test, vi } from 'vitest';
import { basic, FakeTokenServer, type TokenOptions } from '../../support/fake-token-server.ts';
import { Gate } from '../../support/gate.ts';
import { laterClock } from '../../support/later-clock.ts';
import { type AuthenticatorScene, credentials, openAuthenticator } from '../upstream-scene.ts';

const scope = 'repository:library/app:pull';

type Scene = AuthenticatorScene & {
  readonly tokens: FakeTokenServer;
  ask(refused?: string): Promise<string | undefined>;
};

async function scene(options: TokenOptions = {}, known?: typeof credentials): Promise<Scene> {
  const tokens = await FakeTokenServer.start(options);
  const opened = openAuthenticator({ endpoint: 'http://127.0.0.1:1', ...(known && { credentials: known }) });
  return {
    ...opened,
    tokens,
    ask: (refused) => opened.authenticator.answer(tokens.challenge(scope), scope, refused),
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await tokens.close();
    },
  };
}

describe('a token', () => {
  test('is fetched for the service of the challenge and our own scope', async () => {
    await using at = await scene();
    expect(await at.authenticator.authorization(scope)).toBeUndefined();
    const challenge = at.tokens.challenge('repository:user/image:pull'); // ghcr.io's placeholder
    const authorization = await at.authenticator.answer(challenge, scope, undefined);
    expect(at.tokens.permits(authorization, scope)).toBe(true);
    const { searchParams } = new URL(at.tokens.requests[0]?.path ?? '', at.tokens.server.url);
    expect(Object.fromEntries(searchParams)).toEqual({ service: 'registry.example', scope });
    expect(at.tokens.requests[0]?.headers.authorization).toBeUndefined();
  });

  test('is asked for with the credentials of the configuration', async () => {
    await using at = await scene({ credentials }, credentials);
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
    expect(at.tokens.requests[0]?.headers.authorization).toBe(basic(credentials.username, credentials.password));
  });

  test.each(['token', 'access_token'] as const)('may be called %s', async (field) => {
    await using at = await scene({ field });
    expect(at.tokens.permits(await at.ask(), scope)).toBe(true);
  });

  test('is fetched once for a hundred that ask at the same time', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.tokens.faults.add({}, { holdHeaders: gate });
    const asking = Array.from({ length: 100 }, () => at.ask());
    await gate.reached;
    asking.push(...Array.from({ length: 100 }, () => at.authenticator.authorization(scope)));
    gate.open();
    const shown = new Set(await Promise.all(asking));
    expect(shown.size).toBe(1);
    expect(at.tokens.requests).toHaveLength(1);
  });

  test('is one for each repository, fetched without another challenge', async () => {
    await using at = await scene();
    const first = await at.ask();
    const other = await at.authenticator.authorization('repository:library/other:pull');
    expect(other).not.toBe(first);
    expect(at.tokens.permits(other, 'repository:library/other:pull')).toBe(true);
    expect(at.tokens.permits(other, scope)).toBe(false);
  });

  test.each([
    ['told', { expiresInSeconds: 300 }, 260, 275],
    ['told shorter', { expiresInSeconds: 30 }, 25, 28],
    ['not told: 60 s', { expiresInSeconds: null }, 50, 55],
    ['told as nonsense: 60 s', { expiresInSeconds: -5 }, 50, 55],
    ['told as eternity: an hour', { expiresInSeconds: 1e12 }, 3200, 3300],
  ])('is kept for the time that is %s, less a tenth', async (_, options, kept, expired) => {
    await using at = await scene(options);
    using clock = laterClock();
    const first = await at.ask();
    clock.pass(kept);
    expect(await at.authenticator.authorization(scope)).toBe(first);
    clock.pass(expired - kept);
    await vi.waitFor(async () => expect(await at.authenticator.authorization(scope)).not.toBe(first));
    expect(at.tokens.requests).toHaveLength(2);
  });
});

describe('a token that was refused', () => {
  test('is replaced by a fresh one', async () => {
    await using at = await scene();
    const first = await at.ask();
    const second = await at.ask(first);
    expect(second).not.toBe(first);
    expect(at.tokens.permits(second, scope)).toBe(true);
  });

  test('that is young and does not go far enough is not replaced by another such', async () => {
    await using at = await scene();
    const first = await at.ask();
    // Docker Hub's way to say that a repository is missing or private.
    const challenge = `${at.tokens.challenge(scope)},error="insufficient_scope"`;
    expect(await at.authenticator.answer(challenge, scope, first)).toBeUndefined();
    expect(at.tokens.issued).toBe(1);
    using clock = laterClock();
    clock.pass(11);
    expect(await at.authenticator.answer(challenge, scope, first)).not.toBe(first);
    expect(at.tokens.issued).toBe(2);
  });

  test('is replaced once for a hundred that were refused with it', async () => {
    await using at = await scene();
    const first = await at.ask();
    const fresh = new Set(await Promise.all(Array.from({ length: 100 }, () => at.ask(first))));
    expect(fresh.size).toBe(1);
    expect(at.tokens.requests).toHaveLength(2);
    expect(await at.ask(first)).toBe([...fresh][0]);
    expect(at.tokens.requests).toHaveLength(2);
  });
});

describe('a challenge', () => {
  const realm = 'realm="http://127.0.0.1:1/"';

  test('for Basic is answered with the credentials, from then on without being asked', async () => {
    await using at = await scene({}, credentials);
    const expected = basic(credentials.username, credentials.password);
    expect(await at.authenticator.answer(`Basic ${realm}`, scope, undefined)).toBe(expected);
    expect(await at.authenticator.authorization(scope)).toBe(expected);
  });

  test.each([`Basic ${realm}`, 'Negotiate', 'Digest realm="x"', '', 'nonsense"'])(
    'that we have no answer to gets none: %s',
    async (challenge) => {
      await using at = await scene();
      expect(await at.authenticator.answer(challenge, scope, undefined)).toBeUndefined();
      expect(at.tokens.requests).toEqual([]);
    },
  );

  test('for Basic where it was for Bearer before is answered all the same', async () => {
    await using at = await scene({}, credentials);
    const token = await at.ask();
    const expected = basic(credentials.username, credentials.password);
    expect(await at.authenticator.answer(`Basic ${realm}`, scope, token)).toBe(expected);
  });

  test('for Bearer is preferred to one for Basic: a password need not travel', async () => {
    await using at = await scene({}, credentials);
    const both = `Basic realm="x", ${at.tokens.challenge(scope)}`;
    expect(await at.authenticator.answer(both, scope, undefined)).toMatch(/^Bearer /);
  });
});
