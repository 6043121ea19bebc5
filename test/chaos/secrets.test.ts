// Every kind of credentials at log level trace, through everything that goes wrong with a login: no secret comes out anywhere.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brokenKinds, credentialKinds, username } from '../support/credential-kinds.ts';
import type { FakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { LoginRegistry, type LoginRegistryOptions } from '../support/login-registry.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { RecordedServer } from '../support/recorded-server.ts';
import { sendReply } from '../support/reply.ts';
import { holdsSecret } from '../support/secret-forms.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { toolPath } from '../support/tool.ts';
import { type AskOptions, ask, pullWhole } from '../support/whole-pull.ts';

type Actor = {
  readonly name: string;
  readonly secret: string;
  readonly scheme: 'basic' | 'bearer';
  readonly setting: object;
  readonly registry: LoginRegistry;
};

const image = (name: string, tag: string) => `${name}/acme/app:${tag}`;
// Characters that each coding writes in its own way.
const secretOf = (name: string) => `s3cret/+&=%"~of-${name}`;
const clientSecrets = { basic: secretOf('client'), bearer: 'a-bearer-token-of-a-client' };
const proxySecret = 'secret-of-the-proxy';
const proxy = `http://proxy-user:${proxySecret}@127.0.0.1:9`;
const unproxied = '127.0.0.1,localhost';
const signature = 'signature=abc';
/** Where the signed address of a blob may lead. */
const astray: Readonly<Record<string, (upstream: FakeUpstream) => unknown>> = {
  'redirect-refused': ({ cdn }) => cdn?.faults.add({}, refusals.denied),
  'redirect-failing': ({ cdn }) => cdn?.faults.add({}, refusals.serverError),
  'redirect-dead': ({ cdn }) => cdn?.close(),
  'redirect-forbidden': ({ faults }) =>
    faults.add({ method: 'GET', kind: 'blob' }, { redirect: `http://169.254.169.254/data?${signature}` }),
  'redirect-loop': ({ faults }) => faults.add({ method: 'GET', kind: 'blob' }, { redirect: `?${signature}` }),
};

describe('secrets at log level trace', { timeout: 120_000 }, () => {
  const working: Actor[] = [];
  const failing: Actor[] = [];
  const repeating: Actor[] = [];
  const pulled: string[] = [];
  const failures: string[] = [];
  const answers: string[] = [];
  let places: Readonly<Record<string, string>> = {};
  let thief: RecordedServer;
  let dir: TempDir;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    dir = await tempDir('secrets');
    thief = await RecordedServer.start({ kindOf: () => 'token', handle: (exchange) => sendReply(exchange, {}) });
    await addActors();
    const everybody = [...working, ...failing, ...repeating];
    const upstreams = Object.fromEntries(
      everybody.map(({ name, setting, registry }) => [
        name,
        { endpoints: [registry.upstream.url], credentials: setting, visibility: 'public' },
      ]),
    );
    mirror = await startMirror({
      upstreams: { ...upstreams, 'proxied.test': 'https://registry.invalid' },
      config: { log: { level: 'trace' }, tags: { ttl: '1ms' } },
      env: {
        PATH: `${join(dir.path, 'bin')}:${toolPath}`,
        // In both spellings, or those of whoever runs this would win.
        ...{ HTTPS_PROXY: proxy, https_proxy: proxy, NO_PROXY: unproxied, no_proxy: unproxied },
      },
    });
    await live();
    places = {
      'the API': (await ask(mirror.adminUrl, '/api/v1/upstreams')).body.toString(),
      '/metrics': await mirror.metrics(),
      'the answers to clients': answers.join('\n'),
      'the files of the cache': await filesBelow(mirror.cacheDir),
    };
    await mirror.stop();
    places = { ...places, 'stdout and stderr': mirror.output.join('\n') };
  });

  afterAll(async () => {
    await mirror?.[Symbol.asyncDispose]();
    for (const { registry } of [...working, ...failing, ...repeating]) await registry[Symbol.asyncDispose]();
    await thief?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  async function addActors(): Promise<void> {
    const bin = join(dir.path, 'bin');
    await mkdir(bin);
    for (const [kind, { takes, write }] of Object.entries(credentialKinds))
      for (const scheme of takes === 'password' ? (['basic', 'bearer'] as const) : (['bearer'] as const)) {
        const name = `${kind}-${scheme}.test`;
        const secret = secretOf(name);
        const login = takes === 'password' ? { username, password: secret } : { identityToken: secret };
        // Whichever login of a list has its turn, it is a right one.
        const accepts = [login, { username: 'other', password: `${secret}-2` }];
        working.push(await actor({ name, setting: await write({ dir: bin, name, secret }), scheme, accepts }));
      }
    for (const [kind, write] of Object.entries(brokenKinds)) {
      const name = `${kind}.test`;
      const setting = await write({ dir: bin, name, secret: secretOf(name) });
      failing.push(await actor({ name, setting, scheme: 'bearer', accepts: [] }));
    }
    for (const scheme of ['basic', 'bearer'] as const) {
      const plain = (name: string) => ({ name, setting: { username, password: secretOf(name) }, scheme, accepts: [] });
      failing.push(await actor(plain(`refused-${scheme}.test`)));
      for (const repeatsWith of [401, 403, 404, 429, 500]) {
        const refused = plain(`repeating-${repeatsWith}-${scheme}.test`);
        // With 401 the login itself is refused; with all others it is right, and of no use.
        const accepts = repeatsWith === 401 ? [] : [refused.setting];
        repeating.push(await actor({ ...refused, accepts, repeatsWith }));
      }
    }
    const down = { username, password: secretOf('down.test') };
    const dead = await actor({ name: 'down.test', setting: down, scheme: 'bearer', accepts: [down] });
    await dead.registry.tokens.close();
    failing.push(dead);
    const robbed = { username, password: secretOf('robbed.test') };
    // The same address under another name is another host.
    const realm = `${thief.url.replace('127.0.0.1', 'localhost')}/token`;
    failing.push(await actor({ name: 'robbed.test', setting: robbed, scheme: 'bearer', accepts: [robbed], realm }));
    for (const [way, lead] of Object.entries(astray)) {
      const name = `${way}.test`;
      const login = { username, password: secretOf(name) };
      const misled = await actor({ name, setting: login, scheme: 'bearer', accepts: [login] });
      await lead(misled.registry.upstream);
      failing.push(misled);
    }
  }

  async function actor(options: LoginRegistryOptions & { name: string; setting: object }): Promise<Actor> {
    const { name, setting, scheme } = options;
    const registry = await LoginRegistry.start(options);
    for (const tag of ['first', 'second', 'third'])
      registry.upstream.addImage('acme/app', { tag, layers: [`${tag} layer of ${name}`] });
    return { name, secret: secretOf(name), scheme, setting, registry };
  }

  /** What the actors go through; each answer a client gets is kept. */
  async function live(): Promise<void> {
    for (const { name, registry } of working) {
      await pull(name, 'first');
      registry.revokeTokens();
      await pull(name, 'second');
      registry.refuseEverybody();
      await pull(name, 'third');
      // Old answers stand in for what can no longer be asked.
      await pull(name, 'second');
    }
    for (const { name } of [...failing, ...repeating]) for (const tag of ['first', 'second']) await pull(name, tag);
    await pull('proxied.test', 'first');
  }

  async function pull(name: string, tag: string): Promise<void> {
    const authorization =
      tag === 'first'
        ? `Basic ${Buffer.from(`client:${clientSecrets.basic}`).toString('base64')}`
        : `Bearer ${clientSecrets.bearer}`;
    const onAnswer: AskOptions['onAnswer'] = ({ status, headers, body }) => {
      answers.push(`${status} ${JSON.stringify([...headers])} ${body.toString('latin1')}`);
    };
    try {
      await pullWhole(mirror.url, image(name, tag), { headers: { authorization }, onAnswer });
      pulled.push(image(name, tag));
    } catch (error) {
      failures.push(image(name, tag));
      answers.push(String(error));
    }
  }

  const own = ({ secret, registry }: Actor) => [secret, ...registry.given];

  test('every kind pulls, and pulls again once its token is revoked; whoever is refused does not', () => {
    const expected = working.flatMap(({ name }) => ['first', 'second', 'second'].map((tag) => image(name, tag)));
    expect(pulled).toEqual(expected);
    expect(failures).toHaveLength(working.length + 2 * (failing.length + repeating.length) + 1);
  });

  test.each(['stdout and stderr', '/metrics', 'the API', 'the answers to clients', 'the files of the cache'])(
    'are not in %s',
    (place) => {
      const text = places[place] ?? '';
      // It is the right text: it speaks of those whose secrets are looked for.
      expect(text).toContain(place === 'the files of the cache' ? 'acme/app' : 'refused-basic.test');
      const secrets = [...working, ...failing].flatMap(own);
      const others = [clientSecrets.basic, clientSecrets.bearer, proxySecret, signature];
      expect(found(text, [...secrets, ...others])).toEqual([]);
    },
  );

  test('are not let out by a registry that repeats in its refusal what it was shown', () => {
    const secrets = repeating.flatMap(own);
    for (const [place, text] of Object.entries(places)) expect([place, found(text, secrets)]).toEqual([place, []]);
    for (const { registry, scheme, secret } of repeating)
      expect(holdsSecret(registry.heard[scheme === 'basic' ? 'registry' : 'tokens'], secret)).toBe(true);
  });

  test('arrive where they belong', () => {
    for (const { name, secret, scheme, registry } of working) {
      const { heard } = registry;
      expect([name, holdsSecret(scheme === 'basic' ? heard.registry : heard.tokens, secret)]).toEqual([name, true]);
      if (scheme === 'bearer') expect([name, found(heard.registry, registry.given).length]).toEqual([name, 2]);
      expect(heard.cdn).toContain(signature);
    }
  });

  test('arrive nowhere else', () => {
    const everybody = [...working, ...failing, ...repeating];
    const leaks = everybody.flatMap((host) => {
      const strangers = [...everybody.filter((other) => other !== host).flatMap(own), ...Object.values(clientSecrets)];
      const { registry, tokens, cdn } = host.registry.heard;
      const allowed = host.scheme === 'basic' ? registry : tokens;
      return [
        ...found(`${registry}\n${tokens}\n${cdn}`, strangers).map((leak) => `${leak} at ${host.name}`),
        ...found(cdn, own(host)).map((leak) => `${leak} at the CDN of ${host.name}`),
        ...found(allowed === registry ? tokens : registry, [host.secret]).map((leak) => `${leak} at ${host.name}`),
        ...found(tokens, host.registry.given).map((leak) => `${leak} at the token server of ${host.name}`),
      ];
    });
    expect(leaks).toEqual([]);
    const stolen = thief.requests.map(({ path, rawHeaders }) => `${path} ${rawHeaders.join(' ')}`).join('\n');
    expect(found(stolen, everybody.flatMap(own))).toEqual([]);
    expect(thief.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });
});

function found(text: string, secrets: readonly string[]): string[] {
  return secrets.filter((secret) => holdsSecret(text, secret));
}

async function filesBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map(async (file) => `${file}\n${await readFile(file, 'latin1')}`));
  return texts.join('\n');
}
