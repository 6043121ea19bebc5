// A password at the registry itself: one question goes ahead with it, and its door tells whether it is any good.
import { describe, expect, test } from 'vitest';
import { noCredentials } from '../../../src/upstream/credentials/login.ts';
import { basic, FakeTokenServer } from '../../support/fake-token-server.ts';
import { refusals } from '../../support/faults.ts';
import { Gate } from '../../support/gate.ts';
import {
  type AuthenticatorScene,
  changedLogin,
  credentials,
  openAuthenticator,
  startServer,
  upstreamError,
} from '../upstream-scene.ts';

const scope = 'repository:library/app:pull';
const good = basic(credentials.username, credentials.password);

describe('a password at the registry itself', () => {
  const challenge = 'Basic realm="registry"';

  /** A question that the registry refuses with this password, and what came of asking it. */
  function refusing({ authenticator }: AuthenticatorScene, isRefused = (_shown?: string) => true) {
    const shown: (string | undefined)[] = [];
    const question = () =>
      authenticator.showPassword('questions', async ({ authorization, check }) => {
        shown.push(authorization);
        if (!isRefused(authorization)) return 'answer';
        await check();
        return 'refusal';
      });
    return { shown, question };
  }

  test('that is no good is tried at its door once, and rests', async () => {
    await using registry = await startServer(refusals.unauthorized);
    await using at = openAuthenticator({ endpoint: registry.url, credentials });
    expect(await at.authenticator.answer(challenge, scope, undefined)).toBe(good);
    const { shown, question } = refusing(at);
    const errors = await Promise.all(Array.from({ length: 100 }, () => upstreamError(question())));
    expect(new Set(errors.map(({ failure }) => failure))).toEqual(new Set(['login']));
    expect(shown).toEqual([good]);
    expect(registry.requests).toMatchObject([{ method: 'GET', path: '/v2/', headers: { authorization: good } }]);
    expect(at.authenticator.isRefused).toBe(true);
    expect((await upstreamError(at.authenticator.authorization(scope))).failure).toBe('login');
  });

  test('that is good was refused for this repository only', async () => {
    await using registry = await startServer();
    await using at = openAuthenticator({ endpoint: `${registry.url}/`, credentials });
    await at.authenticator.answer(challenge, scope, undefined);
    const { shown, question } = refusing(at);
    expect([await question(), await question()]).toEqual(['refusal', 'refusal']);
    expect(shown).toEqual([good, good]);
    expect(await at.authenticator.answer(challenge, scope, good)).toBeUndefined();
    expect(at.authenticator.isRefused).toBe(false);
  });

  test.each([401, 403])('that expired, as those of ECR do, is renewed after a %d', async (status) => {
    await using registry = await startServer();
    const old = basic(credentials.username, 'old');
    registry.faults.add({ when: ({ headers }) => headers.authorization === old }, { status });
    await using at = openAuthenticator({ endpoint: registry.url, login: changedLogin() });
    expect(await at.authenticator.answer(challenge, scope, undefined)).toBe(old);
    const { shown, question } = refusing(at, (authorization) => authorization === old);
    expect(await question()).toBe('answer');
    expect(shown).toEqual([old, good]);
    expect(await at.authenticator.authorization(scope)).toBe(good);
    // Somebody else need not ask again.
    const asked = registry.requests.length;
    expect(await question()).toBe('answer');
    expect(shown).toEqual([old, good, good]);
    expect(registry.requests).toHaveLength(asked);
  });

  test('that was good and is no longer is tried at its door once, and not sent by those that still wait', async () => {
    await using registry = await startServer();
    await using at = openAuthenticator({ endpoint: registry.url, credentials });
    const { question } = refusing(at);
    await question();
    registry.forget();
    registry.faults.add({}, refusals.unauthorized);
    const gate = new Gate();
    const late = at.authenticator.showPassword('questions', async ({ mayGo }) => {
      await gate.pass();
      if (mayGo()) throw new Error('it was sent');
      throw noCredentials('registry.test', 'it was not sent');
    });
    await gate.reached;
    await Promise.all(Array.from({ length: 100 }, () => upstreamError(question())));
    gate.open();
    expect((await upstreamError(late)).message).toContain('refused the configured credentials');
    expect(registry.requests).toHaveLength(1);
  });

  test('is not shown for a token, which says what it is for', async () => {
    await using tokens = await FakeTokenServer.start({ credentials });
    await using at = openAuthenticator({ endpoint: 'http://127.0.0.1:1', credentials });
    const token = (await at.authenticator.answer(tokens.challenge(scope), scope, undefined)) ?? '';
    expect(await at.authenticator.answer(challenge, scope, good)).toBeUndefined();
    expect(await at.authenticator.refresh(scope, token)).toBeUndefined();
    expect(tokens.requests).toHaveLength(1);
  });
});
