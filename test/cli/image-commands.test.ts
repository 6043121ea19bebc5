// `ls`, `inspect`, `pin`, `unpin` and `purge` against the real API over a mirror that is none.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectLines } from '../../src/cli/inspect.ts';
import { imageLines } from '../../src/cli/ls.ts';
import { purgedLines } from '../../src/cli/purge.ts';
import { cachedImage, digest } from '../admin/fake-mirror.ts';
import { type StartAdminOptions, type StartedAdmin, startAdmin } from '../admin/start-admin.ts';
import { here, onTerminal } from './run-command.ts';

const other = { ...cachedImage, repository: 'ghcr.io/acme/app', tag: undefined, isPinned: false, isComplete: true };
let admin: StartedAdmin | undefined;

async function start(options: StartAdminOptions = {}): Promise<string> {
  admin = await startAdmin(options);
  return admin.url;
}

afterEach(async () => {
  await admin?.[Symbol.asyncDispose]();
  admin = undefined;
});

describe('ls', () => {
  const pages = new Map<string | undefined, readonly (typeof other)[]>();
  const asked: unknown[] = [];
  const images: NonNullable<StartAdminOptions['images']> = {
    list: async (query) => {
      asked.push(query);
      const next = query.cursor === undefined ? 'two' : undefined;
      return { images: pages.get(query.cursor) ?? [], cursor: next };
    },
    find: async () => [cachedImage],
  };

  beforeEach(() => {
    asked.length = 0;
    pages.clear();
    pages.set(undefined, [other]).set('two', [other]);
  });

  test('asks for page after page, and shows a table', async () => {
    const url = await start({ images });
    const { status, stdout, stderr } = await here(['ls', 'ghcr.io/**', '--sort', 'size', '--admin', url]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toHaveLength(4);
    expect(stdout).toMatch(/^REPOSITORY {8}TAG {12}PLATFORMS {4}SIZE {2}COMPLETE {2}PINNED {2}LAST USED\n/);
    const query = { match: 'ghcr.io/**', sort: 'size', limit: 1000 };
    expect(asked).toEqual([query, { ...query, cursor: 'two' }]);
  });

  test('of a name asks for that, and gives it as JSON', async () => {
    const url = await start({ images });
    const { status, stdout } = await here(['ls', 'redis', '--json', '--admin', url]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual([JSON.parse(JSON.stringify(cachedImage))]);
    expect(asked).toEqual([]);
  });

  test('says so when it stops before the end', async () => {
    const many = Array.from({ length: 1000 }, () => other);
    const list = async () => ({ images: many, cursor: 'more' });
    const url = await start({ images: { ...images, list } });
    const { stdout, stderr } = await here(['ls', '--admin', url]);
    expect(stdout.split('\n')).toHaveLength(10_002);
    expect(stderr).toBe('only the first 10000 are shown; narrow it down with a GLOB\n');
  });

  test.each([
    [['ls'], 'nothing is cached yet\n'],
    [
      ['ls', 'redis*'],
      'nothing that is cached matches "redis*"; globs are on whole names, such as "docker.io/library/*"\n',
    ],
  ])('%j of nothing says so, and is no failure', async (argv, said) => {
    pages.clear();
    const url = await start({ images });
    expect(await here([...argv, '--admin', url])).toMatchObject({ status: 0, stderr: said });
  });

  test('of a name that is not there fails', async () => {
    const url = await start();
    expect(await here(['ls', 'nginx', '--admin', url])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'stillwater: nothing is cached as docker.io/library/nginx; see stillwater ls\n',
    });
  });
});

test('the table has a line an image', () => {
  const platform = { platform: 'linux/amd64', digest, sizeBytes: 1, storedBytes: 1, isComplete: true };
  const platforms = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ ...platform, platform: `linux/${name}` }));
  const now = 1_700_000_000_000 + 3 * 3_600_000;
  expect(
    imageLines(
      [
        cachedImage,
        { ...other, platforms, lastUsedAt: undefined },
        {
          ...other,
          platforms: [
            { ...platform, isComplete: false },
            { ...platform, platform: undefined },
          ],
        },
        { ...other, platforms: [], storedBytes: 2_000_000_000 },
      ],
      now,
    ),
  ).toEqual([
    'REPOSITORY               TAG            PLATFORMS                        SIZE  COMPLETE  PINNED  LAST USED',
    'docker.io/library/redis  7              linux/amd64                      90 B  no        yes     3 h ago',
    `ghcr.io/acme/app         @${digest.slice(7, 19)}  linux/a, linux/b, linux/c +2     90 B  yes       no      never`,
    `ghcr.io/acme/app         @${digest.slice(7, 19)}  ?                                90 B  yes       no      3 h ago`,
    `ghcr.io/acme/app         @${digest.slice(7, 19)}  -                             2.00 GB  yes       no      3 h ago`,
  ]);
});

describe('inspect', () => {
  test('shows everything that is known', async () => {
    const url = await start();
    const { status, stdout } = await here(['inspect', 'redis:7', '--admin', url]);
    expect(status).toBe(0);
    const shown = stdout.replace(/used {2}.*/, 'used  x');
    expect(shown.split('\n')).toEqual([
      ...inspectLines(cachedImage, 0).map((line) => line.replace(/used {2}.*/, 'used  x')),
      '',
    ]);
  });

  test('gives the same as JSON', async () => {
    const url = await start();
    const { stdout } = await here(['inspect', 'redis', '--json', '--admin', url]);
    expect(JSON.parse(stdout)).toEqual([JSON.parse(JSON.stringify(cachedImage))]);
  });

  test('has a line a fact and a line a platform', () => {
    const part = { platform: undefined, digest, sizeBytes: 100, storedBytes: 90, isComplete: true };
    const lines = inspectLines(
      { ...other, isPrivate: true, platforms: [...cachedImage.platforms, part] },
      1_700_000_060_000,
    );
    expect(lines).toEqual([
      `ghcr.io/acme/app@${digest}`,
      `  digest     ${digest}`,
      '  type       application/vnd.oci.image.index.v1+json',
      '  complete   yes: a pull is served with every upstream away',
      '  pinned     no',
      '  for        those who may see it at its registry',
      '  stored     90 B',
      '  checked    never',
      '  last used  60 s ago (2023-11-14T22:13:20Z)',
      `  linux/amd64     ${digest}  90 B of 100 B  in part`,
      `  of no platform  ${digest}  90 B of 100 B  complete`,
    ]);
  });
});

test('what answers at --admin gives a terminal nothing to obey', async () => {
  const foreign = 'a\u001b[2J\u202e\u009b\nb';
  const repository = `ghcr.io/${foreign}`;
  await using server = createServer(({ method }, response) => {
    response.statusCode = method === 'GET' ? 200 : 400;
    response.end(JSON.stringify({ images: [{ ...other, repository }], error: `no: ${foreign}` }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const shown = await here(['ls', 'x', '--admin', url]);
  expect(shown.stdout.split('\n')[1]).toMatch(/^ghcr\.io\/a\?\[2J\?\?\?b {2}@/);
  expect((await here(['inspect', 'x', '--admin', url])).stdout).toMatch(/^ghcr\.io\/a\?\[2J\?\?\?b@/);
  expect(await here(['unpin', 'x', '--admin', url])).toEqual({
    status: 1,
    stdout: '',
    stderr: 'stillwater: no: a?[2J?? b\n',
  });
  expect(purgedLines({ images: [foreign], imageCount: 1, blobs: 0, bytes: 0, pinned: [foreign] }, 'x')).toEqual([
    'purged a?[2J???b',
    'left a?[2J???b: it is pinned',
    '1 image, 0 blobs, 0 B freed',
  ]);
});

describe('pin and unpin', () => {
  test('keep an image, and let it go', async () => {
    const url = await start();
    expect(await here(['pin', 'redis:7', '--admin', url])).toEqual({
      status: 0,
      stdout: 'pinned redis:7\n',
      stderr: '',
    });
    expect(admin?.pins()).toEqual(['docker.io/library/redis 7']);
    expect(await here(['unpin', 'redis:7', '--admin', url])).toEqual({
      status: 0,
      stdout: 'unpinned redis:7\n',
      stderr: '',
    });
    expect(admin?.pins()).toEqual([]);
  });

  test('what is not pinned cannot be let go', async () => {
    const url = await start();
    expect(await here(['unpin', 'redis:7', '--admin', url])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^stillwater: nothing is pinned as redis:7[;\n]/),
    });
  });
});

describe('purge', () => {
  const targets: unknown[] = [];
  const purged = {
    images: ['docker.io/library/redis:7'],
    imageCount: 1,
    blobs: 3,
    bytes: 90,
    pinned: ['docker.io/library/redis:8'],
  };
  const purge: NonNullable<StartAdminOptions['purge']> = {
    run: async (target) => {
      targets.push(target);
      return purged;
    },
  };
  const repository = { registry: 'docker.io', path: 'library/redis' };

  beforeEach(() => {
    targets.length = 0;
  });

  test.each([
    ['redis:7', { repository, reference: { tag: '7' } }],
    [`redis@${digest}`, { repository, reference: { digest } }],
    ['redis', { repository, reference: undefined }],
    ['acme/app/pin', { repository: { registry: 'docker.io', path: 'acme/app/pin' }, reference: undefined }],
    ['acme/app/pin:1', { repository: { registry: 'docker.io', path: 'acme/app/pin' }, reference: { tag: '1' } }],
    ['docker.io/library/*:pr-*', { match: 'docker.io/library/*:pr-*' }],
    [digest, { digest }],
  ])('of %s asks for that, and asks nobody where there is no terminal', async (what, target) => {
    const url = await start({ purge });
    expect(await here(['purge', what, '--admin', url])).toEqual({
      status: 0,
      stdout: `${purgedLines(purged, what).join('\n')}\n`,
      stderr: '',
    });
    expect(targets).toEqual([target]);
  });

  test('of a repository called pin lets go of no pin', async () => {
    const url = await start({ purge });
    await here(['pin', 'acme/app', '--admin', url]);
    expect(await here(['purge', 'acme/app/pin', '--admin', url])).toMatchObject({ status: 0 });
    expect(admin?.pins()).toEqual(['docker.io/acme/app latest']);
  });

  test('gives what went as JSON', async () => {
    const url = await start({ purge });
    expect(JSON.parse((await here(['purge', 'redis:7', '--json', '--admin', url])).stdout)).toEqual(purged);
  });

  test.each([
    ['y\n', 0, 1],
    ['n\n', 1, 0],
    ['\n', 1, 0],
    ['\u0003', 130, 0],
  ])('of a repository asks on a terminal, and %j is an answer', async (input, status, count) => {
    const url = await start({
      purge,
      images: { list: async () => ({ images: [], cursor: undefined }), find: async () => [cachedImage, other] },
    });
    const ended = await onTerminal(['purge', 'redis', '--admin', url], { input, after: '[y/N]' });
    expect(ended.stdout).toContain('Purge redis: 1 image, but not 1 pinned? [y/N]');
    expect(ended.status).toBe(status);
    expect(targets).toHaveLength(count);
  });

  test.each([[['redis:7']], [['redis', '--yes']], [['docker.io/**', '-y']], [[digest]]])(
    'of %j asks nothing',
    async (argv) => {
      const url = await start({ purge });
      expect(await onTerminal(['purge', ...argv, '--admin', url])).toMatchObject({ status: 0 });
      expect(targets).toHaveLength(1);
    },
  );

  test('asks nothing where nobody could answer', async () => {
    const url = await start({ purge });
    expect(await onTerminal(['purge', 'redis', '--admin', url], { redirected: '</dev/null' })).toMatchObject({
      status: 0,
    });
    expect(targets).toHaveLength(1);
  });

  test('says what it did in few lines', () => {
    const many = { ...purged, imageCount: 12, pinned: [] };
    expect(purgedLines(many, 'x')).toEqual([
      'purged docker.io/library/redis:7',
      '… and 11 more',
      '12 images, 3 blobs, 90 B freed',
    ]);
    expect(purgedLines(purged, 'x')).toContain('left docker.io/library/redis:8: it is pinned');
    expect(purgedLines({ ...purged, imageCount: 0, blobs: 0, pinned: [] }, 'x*')).toEqual([
      'nothing that is cached matches x*',
    ]);
  });
});

test.each([
  [['inspect', ''], '"": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help'],
  [['inspect', '../x'], '"../x": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help'],
  [['pin', 'a/./b'], '"a/./b": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help'],
  [['pin', 'a//b'], '"a//b": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help'],
  [
    ['purge', 'sha256:fcb9146a1224'],
    '"sha256:fcb9146a1224": not a whole digest: stillwater inspect shows it; see stillwater --help',
  ],
  [['purge', 'x:'], '"x:": not a tag: ""; see stillwater --help'],
  [['purge', 'x@sha256:1'], '"x@sha256:1": not a sha256 or sha512 digest: "sha256:1"; see stillwater --help'],
  [
    ['ls', '--sort', 'age'],
    "option '--sort <key>' argument 'age' is invalid. Allowed choices are name, size, used; see stillwater --help",
  ],
  [
    ['ls', '--admin', 'http://x', '--cache-dir', 'y'],
    '--admin and --cache-dir name two places: give one; see stillwater --help',
  ],
  [
    ['ls', '--admin', 'http://me:hunter2@x?y'],
    '--admin: found "(hidden)@x?y", allowed is a URL such as http://127.0.0.1:5001',
  ],
  [['ls', '--admin', 'ftp://x'], '--admin: found "ftp://x", allowed is a URL such as http://127.0.0.1:5001'],
])('%j is wrong usage', async (argv, fault) => {
  expect(await here(argv)).toEqual({ status: 2, stdout: '', stderr: `stillwater: ${fault}\n` });
});
