// The configuration is read again and again under load, good and broken: nobody who pulls notices, and nothing is left behind.
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { descriptorsOf, memoryMebibytes } from '../support/process-resources.ts';
import { RawClient } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';

const mebibyte = 1024 * 1024;
const repository = 'library/app';
let upstream: FakeUpstream;
let mirror: MirrorProcess;

type Json = Record<string, unknown>;
type Status = { readonly lastReload: { at: number; error: string | null; needsRestart: string[] } | null };

beforeEach(async () => {
  upstream = await startFakeUpstream();
  const rules = [{ match: 'docker.io/library/moving:*', ttl: '0s' }];
  mirror = await startMirror({
    upstreams: { 'docker.io': upstream.url, 'other.example': upstream.url },
    config: { tags: { ttl: '5m', rules }, log: { level: 'warn' } },
  });
});

afterEach(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const status = async (token?: string): Promise<Status> => {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await (await fetch(`${mirror.adminUrl}/api/v1/status`, { headers })).json()) as Status;
};

function base(): Json {
  const at = { endpoints: [upstream.url] };
  return {
    listen: { host: '127.0.0.1', port: mirror.port },
    admin: { host: '127.0.0.1', port: mirror.adminPort },
    upstreams: { 'docker.io': at, 'other.example': at },
    tags: { ttl: '5m', rules: [{ match: 'docker.io/library/moving:*', ttl: '0s' }] },
    log: { level: 'warn' },
    cache: { dir: mirror.cacheDir, minFree: '100MB' },
  };
}

type Variant = { readonly text: string; readonly error?: RegExp };
const variant = (change: Json, error?: RegExp): Variant => ({
  text: JSON.stringify({ ...base(), ...change }),
  ...(error && { error }),
});

/** What an operator tries one after the other; none of it concerns who pulls `library/…` of docker.io. */
function variants(): Variant[] {
  const docker = { endpoints: [upstream.url] };
  const tags = (base().tags ?? {}) as { rules: Json[] };
  return [
    variant({ tags: { ...tags, ttl: '10m' } }),
    variant({ access: { rules: [{ effect: 'deny', principals: ['*'], repositories: ['docker.io/acme/**'] }] } }),
    variant({ upstreams: { 'docker.io': docker, 'other.example': { ...docker, rate: '1MB' } } }),
    variant({ upstreams: { 'docker.io': docker, 'other.example': { endpoints: ['http://127.0.0.1:9'] } } }),
    variant({ log: { level: 'error' } }),
    variant({ prefetch: { schedule: [{ cron: '0 3 1 1 *', images: ['redis:7'] }] } }),
    { text: '{ "tags": ', error: /JSON|json/ },
    variant({ tagz: {} }, /tagz.*tags/),
    variant(
      { upstreams: { 'docker.io': { ...docker, caFile: 'no-such.pem' }, 'other.example': docker } },
      /caFile|no-such\.pem/,
    ),
    variant({}),
  ];
}

type Load = { readonly stop: () => Promise<{ answers: number; wrong: string[] }> };

/** Ten clients who keep asking, each for its own kind of thing, until told to stop. */
function load(wanted: readonly (() => { path: string; content: ServedContent; start?: number })[]): Load {
  let isOver = false;
  const wrong: string[] = [];
  let answers = 0;
  const clients = wanted.map(async (next) => {
    let client = RawClient.to(mirror.url);
    while (!isOver) {
      const { path, content, start } = next();
      const headers: Record<string, string> = start === undefined ? {} : { range: `bytes=${start}-` };
      try {
        const answer = await client.ask({ path, headers }).answer({ content, start: start ?? 0 });
        answers += 1;
        const status = start === undefined ? 200 : 206;
        if (
          answer.status !== status ||
          !answer.isTrue ||
          !answer.isComplete ||
          answer.received !== content.size - (start ?? 0)
        )
          wrong.push(`${path}: ${answer.status} ${answer.received} ${answer.body.toString().slice(0, 200)}`);
      } catch (error) {
        wrong.push(`${path}: ${String(error)}`);
        client.hangUp();
        client = RawClient.to(mirror.url);
      }
    }
    client.hangUp();
  });
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(clients);
      return { answers, wrong };
    },
  };
}

test('thirty reloads under load, good and broken: no answer is wrong, and nothing of them stays', async () => {
  const hot = await upstream.addGeneratedBlob(repository, { size: 2 * mebibyte, seed: 1 });
  const manifest = upstream.addImage(repository).manifest.content;
  const moving = upstream.addImage('library/moving').manifest.content;
  const cold: ServedContent[] = [];
  for (let seed = 0; seed < 400; seed++) cold.push(upstream.addBlob(repository, `${seed} `.repeat(3000)));
  let at = 0;
  const blob = ({ digest }: ServedContent) => `/v2/${repository}/blobs/${digest}`;
  const tag = () => ({ path: `/v2/${repository}/manifests/latest`, content: manifest });
  const again = () => ({ path: '/v2/library/moving/manifests/latest', content: moving });
  const whole = () => ({ path: blob(hot), content: hot });
  const part = () => ({ path: blob(hot), content: hot, start: 1_900_000 });
  const fill = () => {
    const content = cold[at++ % cold.length] as ServedContent;
    return { path: blob(content), content };
  };
  const run = async (rounds: number) => {
    const running = load([tag, again, whole, part, fill, fill]);
    const failures: string[] = [];
    const all = variants();
    for (let round = 0; round < rounds; round++) {
      const { text, error } = all[round % all.length] as Variant;
      await writeFile(mirror.configFile, text);
      const before = (await status()).lastReload?.at ?? 0;
      process.kill(mirror.pid, 'SIGHUP');
      const last = await until('it was reloaded', async () => {
        const { lastReload } = await status();
        return lastReload !== null && lastReload.at > before ? lastReload : undefined;
      });
      if (error === undefined ? last.error !== null : !error.test(last.error ?? ''))
        failures.push(`${text}: ${last.error}`);
      if (last.error?.includes('\n')) failures.push(`more than a line: ${last.error}`);
    }
    return { ...(await running.stop()), failures };
  };
  // The first rounds bring what stays once: code that is loaded late, connections, a warm heap.
  const first = await run(10);
  expect({ wrong: first.wrong, failures: first.failures }).toEqual({ wrong: [], failures: [] });
  const before = descriptorsOf(mirror.pid);
  const memory = memoryMebibytes(mirror.pid, 'now');
  const second = await run(30);
  expect({ wrong: second.wrong, failures: second.failures }).toEqual({ wrong: [], failures: [] });
  expect(second.answers).toBeGreaterThan(300);
  // Connections to upstreams may idle, blobs may stay open for who asks next; what a reload opens is neither.
  let now = before;
  const isReleased = () => {
    now = descriptorsOf(mirror.pid);
    // A worker thread may begin late, with six of its own; thirty reloads with one each would be far more.
    return now.others <= before.others + 12 && now.sockets <= before.sockets + 4;
  };
  await until('no descriptor is left behind', isReleased).catch((cause) => {
    throw new Error(`before: ${JSON.stringify(before)}, now: ${JSON.stringify(now)}`, { cause });
  });
  expect(memoryMebibytes(mirror.pid, 'now') - memory).toBeLessThan(80);
  const broken = mirror.logs.filter(({ msg }) => String(msg).includes('was not reloaded'));
  expect(broken.length).toBeGreaterThanOrEqual(9);
  for (const { error } of broken) expect(error).toEqual(expect.stringMatching(/^[^\n]+$/));
}, 240_000);

test('a reload brings log level and admin token, keeps what needs a restart, and a broken file changes nothing', async () => {
  upstream.addImage(repository);
  const requests = () => mirror.logs.filter(({ msg }) => msg === 'request').length;
  const ask = () => fetch(`${mirror.url}/v2/${repository}/manifests/latest`);
  const reload = (token?: string) =>
    fetch(`${mirror.adminUrl}/api/v1/reload`, {
      method: 'POST',
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
  await ask();
  expect(requests()).toBe(0);
  const change = {
    log: { level: 'info' },
    admin: { host: '127.0.0.1', port: mirror.adminPort, token: 'a-token-that-is-long-enough' },
  };
  await writeFile(mirror.configFile, JSON.stringify({ ...base(), ...change, listen: { host: '127.0.0.1', port: 1 } }));
  const answer = await reload();
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    { changed: expect.arrayContaining(['log.level', 'admin.token']), needsRestart: ['listen.port'] },
  ]);
  await ask();
  await until('requests are logged', () => requests() > 0);
  const token = 'a-token-that-is-long-enough';
  await until(
    'the status says what waits',
    async () => (await status(token)).lastReload?.needsRestart[0] === 'listen.port',
  );
  expect((await fetch(`${mirror.adminUrl}/api/v1/status`, { headers: { authorization: 'Bearer wrong' } })).status).toBe(
    401,
  );
  await writeFile(mirror.configFile, JSON.stringify({ ...base(), tags: { ttl: 'soon' } }));
  const refused = await reload(token);
  expect([refused.status, await refused.json()]).toEqual([
    422,
    { error: expect.stringMatching(/^[^\n]*tags\.ttl[^\n]*soon[^\n]*$/) },
  ]);
  // What the status says may be a second old.
  await until('the status says so too', async () => (await status(token)).lastReload?.error?.includes('tags.ttl'));
  expect((await ask()).status).toBe(200);
}, 60_000);

test('a file that changes is read again without a word, also where a cluster swaps it by a link', async () => {
  const dir = dirname(mirror.configFile);
  const old = (await status()).lastReload;
  expect(old).toBeNull();
  await writeFile(mirror.configFile, JSON.stringify({ ...base(), tags: { ttl: '7m' } }));
  await until('it is read again', async () => (await status()).lastReload?.error === null, { timeoutMs: 5_000 });
  // As a ConfigMap is mounted: config.json → ..data/config.json, ..data → a directory that is another one each time.
  const publish = async (name: string, text: string) => {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, 'config.json'), text);
    await symlink(name, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  await publish('..1', JSON.stringify(base()));
  await symlink('..data/config.json', join(dir, 'linked.json'));
  const first = (await status()).lastReload?.at ?? 0;
  await rename(join(dir, 'linked.json'), mirror.configFile);
  await until('the link is followed', async () => ((await status()).lastReload?.at ?? 0) > first, { timeoutMs: 5_000 });
  await publish('..2', JSON.stringify({ ...base(), tags: { ttl: 'never' } }));
  await until('it says why', async () => (await status()).lastReload?.error?.includes('tags.ttl'), {
    timeoutMs: 5_000,
  });
  await publish('..3', JSON.stringify(base()));
  await until('it is right again', async () => (await status()).lastReload?.error === null, { timeoutMs: 5_000 });
}, 60_000);
