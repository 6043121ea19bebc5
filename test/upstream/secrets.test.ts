// Credentials of every kind, at the most talkative log level: they are in no line, error, metric or status.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { CredentialsSetting } from '../../src/upstream/credentials/credentials.ts';
import { openUpstream } from '../../src/upstream/open-upstream.ts';
import type { UpstreamError } from '../../src/upstream/upstream.ts';
import { type FakeCommands, fakeCommands, printing } from '../support/fake-command.ts';
import { basic } from '../support/fake-token-server.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { sendReply } from '../support/reply.ts';
import { contentOf } from '../support/served-content.ts';
import { never } from './upstream-scene.ts';

const name = 'registry.test';
const path = 'library/app';
const robot = { username: 'robot', password: 's3cr3t-password' };
const identityToken = 's3cr3t-refresh';
const shown = basic(robot.username, robot.password);
const secrets = [/s3cr3t/, new RegExp(shown.replace('Basic ', '')), /token-[0-9a-f]{8}-/];

let commands: FakeCommands;
beforeEach(async () => {
  commands = await fakeCommands();
});
afterEach(() => commands[Symbol.asyncDispose]());

const kinds: readonly (readonly [string, () => Promise<CredentialsSetting>])[] = [
  ['a user', async () => robot],
  ['a list', async () => [robot, { username: 'other', password: 's3cr3t-other' }]],
  ['a Docker config', () => dockerConfig({ auth: shown.replace('Basic ', '') })],
  ['a Docker config with an identity token', () => dockerConfig({ identitytoken: identityToken })],
  [
    'a helper',
    async () => {
      await commands.write(
        'docker-credential-test',
        printing(JSON.stringify({ Username: 'robot', Secret: robot.password })),
      );
      return { helper: 'test' };
    },
  ],
  [
    'a command',
    async () => {
      const path = await commands.write('login', `echo s3cr3t >&2\n${printing(JSON.stringify(robot))}`);
      return { exec: [path, '--token=s3cr3t-argument'] };
    },
  ],
];

async function dockerConfig(entry: object): Promise<CredentialsSetting> {
  const file = join(commands.dir, 'config.json');
  await writeFile(file, JSON.stringify({ auths: { [name]: entry } }));
  return { dockerConfig: file };
}

type Scene = FakeUpstreamOptions & { readonly tokens?: FaultEffect; readonly registry?: FaultEffect };

/** Everything that can be read from outside once an image was asked for, and how the asking ended. */
async function told(credentials: CredentialsSetting, { tokens, registry, ...options }: Scene) {
  await using upstream = await startFakeUpstream(options);
  const { digest } = upstream.addImage(path).config;
  if (tokens) upstream.tokens?.faults.add({}, tokens);
  if (registry) upstream.faults.add({}, registry);
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const metrics = createMetrics();
  const opened = open(upstream, { credentials, metrics, log });
  const asking = await Promise.allSettled([
    opened.resolve(path, { tag: 'latest' }, never),
    opened.fetchManifest(path, { tag: 'latest' }, never),
    opened.proveBlob(path, digest as never, never),
    opened.listTags(path, { n: 10 }, never),
  ]);
  const failures = asking.filter((one) => one.status === 'rejected').map(({ reason }) => reason as UpstreamError);
  const everything = [
    ...lines,
    ...failures.map((error) => inspect(error, { depth: null, showHidden: true })),
    await metrics.registry.metrics(),
    JSON.stringify(opened.status()),
  ].join('\n');
  await opened.close();
  return { everything, lines, failures: new Set(failures.map(({ failure }) => failure)) };
}

function open(
  upstream: FakeUpstream,
  more: Pick<Parameters<typeof openUpstream>[0], 'credentials' | 'metrics' | 'log'>,
) {
  return openUpstream({
    name,
    endpoints: [new URL(upstream.url)],
    connections: 8,
    parallel: 1,
    connectTimeoutMs: 1000,
    headersTimeoutMs: 5000,
    idleTimeoutMs: 5000,
    answerTimeoutMs: 5000,
    ...more,
  });
}

/** Says again whatever it was shown, as some proxies do that are meant for finding faults. */
async function echo(exchange: Exchange): Promise<boolean> {
  const { authorization } = exchange.request.headers;
  if (authorization === undefined) return false;
  const errors = [{ code: 'DENIED', message: `you came with Authorization: ${authorization}` }];
  await sendReply(exchange, { status: 403, content: contentOf(JSON.stringify({ errors })) });
  return true;
}

const wantsBasic: FaultEffect = { ...refusals.unauthorized, headers: { 'www-authenticate': 'Basic realm="test"' } };
const auth = { credentials: robot, identityToken };

describe.each(kinds)('%s', (_, setting) => {
  test.each<readonly [string, Scene]>([
    ['that is right', { auth }],
    ['that a token server refuses', { auth, tokens: refusals.unauthorized }],
    ['that a token server denies', { auth, tokens: refusals.denied }],
    ['that is shown too often', { auth, tokens: refusals.pullLimit }],
    ['that nobody listens to', { auth, tokens: { hangUp: true } }],
    ['that is answered with nonsense', { auth, tokens: refusals.html }],
    ['that the registry itself refuses', { registry: wantsBasic }],
    [
      'that a token server says again',
      { auth, tokens: { status: 403, body: `no entry for ${robot.password} ${shown}` } },
    ],
    ['that leads to a token the registry says again', { auth, intercept: echo }],
  ])('%s is told to nobody', async (_, scene) => {
    const { everything, failures } = await told(await setting(), scene);
    for (const secret of secrets) expect(everything).not.toMatch(secret);
    expect(failures.size > 0).toBe(scene.tokens !== undefined || scene.registry !== undefined || !!scene.intercept);
    expect(everything).toContain(`upstream="${name}"`);
  });
});

test('a password that the registry says again is told to nobody', async () => {
  const intercept = async (exchange: Exchange) => {
    if (await echo(exchange)) return true;
    const { status, headers } = wantsBasic;
    await sendReply(exchange, { ...(status && { status }), ...(headers && { headers }) });
    return true;
  };
  const { everything } = await told(robot, { intercept });
  for (const secret of secrets) expect(everything).not.toMatch(secret);
});

describe('what is broken is told without its content:', () => {
  test.each<readonly [string, (commands: FakeCommands) => Promise<CredentialsSetting>]>([
    [
      'a Docker config',
      async ({ dir }) => {
        await writeFile(join(dir, 'config.json'), '{"auths":{"registry.test":{"auth":"s3cr3t"');
        return { dockerConfig: join(dir, 'config.json') };
      },
    ],
    [
      'a helper',
      async ({ write }) => {
        await write('docker-credential-test', 'echo s3cr3t; echo s3cr3t >&2; exit 1');
        return { helper: 'test' };
      },
    ],
    ['a command', async ({ write }) => ({ exec: [await write('login', 'echo s3cr3t'), '--token=s3cr3t'] })],
    ['a command that is not there', async ({ dir }) => ({ exec: [join(dir, 'login'), '--token=s3cr3t'] })],
  ])('%s', async (_, setting) => {
    const { everything, failures } = await told(await setting(commands), { auth });
    expect(failures).toEqual(new Set(['login']));
    expect(everything).toContain('its credentials could not be had');
    for (const secret of secrets) expect(everything).not.toMatch(secret);
  });
});
