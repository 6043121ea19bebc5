// The realm of a challenge: where a registry may send us for a token, and where never, least of all with a password.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { basic } from '../../support/fake-token-server.ts';
import type { RecordedServer } from '../../support/recorded-server.ts';
import { ForwardProxy, proxyEnvironment } from '../forward-proxy.ts';
import { credentials, openAuthenticator, startServer, upstreamError } from '../upstream-scene.ts';

const scope = 'repository:library/app:pull';

// Every host name of these tests is played by one token server behind a proxy: whatever is dialled is seen there.
let proxy: ForwardProxy;
let tokens: RecordedServer;
let environment: Disposable;
beforeAll(async () => {
  proxy = await ForwardProxy.start();
  tokens = await startServer({ body: '{"token":"abc"}' });
  environment = proxyEnvironment({ HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url });
});
beforeEach(() => {
  tokens.forget();
  proxy.asked.length = 0;
});
afterAll(async () => {
  environment[Symbol.dispose]();
  await proxy[Symbol.asyncDispose]();
  await tokens.close();
});

async function asked(endpoint: string, realm: string, known?: typeof credentials, realms: readonly string[] = []) {
  const { hostname, port } = new URL(realm);
  proxy.hosts.set(`${hostname}:${port || '80'}`, tokens.port);
  await using at = openAuthenticator({ endpoint, realms, ...(known && { credentials: known }) });
  const authorization = await at.authenticator.answer(`Bearer realm="${realm}"`, scope, undefined);
  return { authorization, shown: tokens.requests.map(({ headers }) => headers.authorization) };
}

async function refusedRealm(
  endpoint: string,
  realm: string,
  known?: typeof credentials,
  realms: readonly string[] = [],
): Promise<string> {
  await using at = openAuthenticator({ endpoint, realms, ...(known && { credentials: known }) });
  const error = await upstreamError(at.authenticator.answer(`Bearer realm="${realm}"`, scope, undefined));
  expect(error.failure).toBe('protocol');
  expect(proxy.asked).toEqual([]);
  expect(tokens.requests).toEqual([]);
  expect(await at.authenticator.authorization(scope)).toBeUndefined();
  return error.message;
}

describe('a realm is shown the credentials', () => {
  test.each([
    ['on the same host', 'http://registry.corp.example', 'http://registry.corp.example/token'],
    [
      'on another port of the same host',
      'http://registry.corp.example:5000',
      'http://registry.corp.example:5001/token',
    ],
    ['on another host of the same domain', 'http://registry-1.docker.io', 'http://auth.docker.io/token'],
    ['below a suffix of two parts', 'http://registry.team.co.uk', 'http://auth.team.co.uk/token'],
    ['on another port of the same address', 'http://192.0.2.7:5000', 'http://192.0.2.7:5001/token'],
    ['on another port of localhost', 'http://localhost:5000', 'http://localhost:5001/token'],
  ])('%s', async (_, endpoint, realm) => {
    const shown = [basic(credentials.username, credentials.password)];
    expect(await asked(endpoint, realm, credentials)).toEqual({ authorization: 'Bearer abc', shown });
  });
});

describe('a realm is never asked', () => {
  test.each([
    ['on a foreign domain', 'http://registry.corp.example', 'http://auth.evil.example/token'],
    ['on a foreign name that looks alike', 'http://registry-1.docker.io', 'http://auth.docker.io.evil.example/token'],
    ['on a domain that only ends alike', 'http://registry-1.docker.io', 'http://evildocker.io/token'],
    ['on another domain of one public suffix', 'http://registry.team.co.uk', 'http://auth.evil.co.uk/token'],
    ['on another tenant of a shared domain', 'http://alice.github.io', 'http://mallory.github.io/token'],
    [
      'on another tenant of a made-up domain',
      'http://registry.svc.cluster.local',
      'http://evil.svc.cluster.local/token',
    ],
    ['on another address', 'http://192.0.2.7:5000', 'http://192.0.2.8:5000/token'],
    ['on an address for a name', 'http://registry.corp.example', 'http://169.254.169.254/token'],
    ['on localhost for a name', 'http://registry.corp.example', 'http://localhost/token'],
  ])('with credentials %s', async (_, endpoint, realm) => {
    expect(await refusedRealm(endpoint, realm, credentials)).toContain('is not on the domain of');
  });

  test.each([undefined, credentials])('without TLS where the registry has it (credentials: %j)', async (known) => {
    const message = await refusedRealm('https://registry-1.docker.io', 'http://auth.docker.io/token', known);
    expect(message).toContain('auth.docker.io without TLS');
  });

  test.each([undefined, credentials])('when it holds a user of its own (credentials: %j)', async (known) => {
    const endpoint = 'http://registry.corp.example';
    for (const user of ['user:pass', 'user', ':pass'])
      expect(await refusedRealm(endpoint, `http://${user}@registry.corp.example/token`, known)).toContain(
        'credentials',
      );
  });

  test.each(['', '/token', 'token', 'ftp://registry.corp.example/', 'file:///etc/passwd', 'javascript:1', 'http://'])(
    'when it is no web address: %j',
    async (realm) => {
      expect(await refusedRealm('http://registry.corp.example', realm)).toContain('not a web address');
    },
  );

  test('when the challenge names none', async () => {
    await using at = openAuthenticator({ endpoint: 'http://registry.corp.example' });
    const answering = at.authenticator.answer('Bearer service="x"', scope, undefined);
    expect((await upstreamError(answering)).message).toContain('not a web address');
  });
});

describe('a realm that the configuration lists', () => {
  const endpoint = 'http://registry.corp.example';
  const shown = [basic(credentials.username, credentials.password)];

  test.each([
    ['by its host', 'http://auth.elsewhere.example:8080/token', 'auth.elsewhere.example'],
    ['by its host in capitals', 'http://auth.elsewhere.example/token', 'AUTH.elsewhere.example'],
    ['by its host and port', 'http://auth.elsewhere.example:8080/token', 'auth.elsewhere.example:8080'],
    ['by its address', 'http://192.0.2.8:5000/token', '192.0.2.8'],
  ])('%s is shown the credentials', async (_, realm, listed) => {
    expect(await asked(endpoint, realm, credentials, [listed])).toEqual({ authorization: 'Bearer abc', shown });
  });

  test.each([
    ['under another port', 'http://auth.elsewhere.example/token', 'auth.elsewhere.example:8080'],
    ['below it', 'http://evil.auth.elsewhere.example/token', 'auth.elsewhere.example'],
    ['above it', 'http://elsewhere.example/token', 'auth.elsewhere.example'],
  ])('lets no other host have them: %s', async (_, realm, listed) => {
    const message = await refusedRealm(endpoint, realm, credentials, [listed]);
    expect(message).toContain('add it to upstreams.registry.test.realms');
  });

  test('needs TLS all the same where the registry has it', async () => {
    const realm = 'http://auth.elsewhere.example/token';
    const message = await refusedRealm('https://registry.corp.example', realm, credentials, ['auth.elsewhere.example']);
    expect(message).toContain('auth.elsewhere.example without TLS');
  });
});

test('without credentials a foreign realm is asked, and shown nothing', async () => {
  expect(await asked('http://registry.gitlab.example', 'http://auth.elsewhere.example/jwt')).toEqual({
    authorization: 'Bearer abc',
    shown: [undefined],
  });
});

test('what a realm already asks for in its address is kept', async () => {
  await asked('http://registry.corp.example', 'http://auth.corp.example/token?account=a&scope=other');
  const { searchParams } = new URL(tokens.requests[0]?.path ?? '', tokens.url);
  expect(Object.fromEntries(searchParams)).toEqual({ account: 'a', scope });
});
