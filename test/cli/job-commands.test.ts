// `prefetch`, `verify`, `import`, `export` and `reload` against the real API over a mirror that is none.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in compose files look like this
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import type { PrefetchLine, VerifyLine } from '../../src/cli/answers.ts';
import { wishesOf } from '../../src/cli/prefetch.ts';
import { eventLine } from '../../src/cli/verify.ts';
import { digest } from '../admin/fake-mirror.ts';
import { type StartAdminOptions, startAdmin } from '../admin/start-admin.ts';
import { directoryWith } from '../config/config-files.ts';
import { Gate } from '../support/gate.ts';
import { here, onTerminal, run, start } from './run-command.ts';

const image = 'docker.io/library/redis:7';
let close: (() => PromiseLike<void>) | undefined;

async function serve(options: StartAdminOptions = {}): Promise<string> {
  const admin = await startAdmin(options);
  close = () => admin[Symbol.asyncDispose]();
  return admin.url;
}

afterEach(async () => {
  await close?.();
  close = undefined;
});

type Run = NonNullable<StartAdminOptions['prefetcher']>['run'];

/** A prefetcher that tells this, and remembers what it was asked for. */
function telling(events: readonly PrefetchLine[], asked: unknown[] = []) {
  const run: Run = async (request, { onEvent }) => {
    asked.push(request);
    for (const event of events) onEvent(event);
  };
  return { prefetcher: { run, status: () => [] } };
}

const layer = {
  type: 'layer',
  image,
  digest,
  sizeBytes: 10_000_000,
  receivedBytes: 5_000_000,
  state: 'arriving',
} as const;
const pulled: readonly PrefetchLine[] = [
  { type: 'image', image, state: 'started' },
  layer,
  { ...layer, receivedBytes: 6_000_000 },
  { ...layer, state: 'done' },
  { type: 'image', image, state: 'done', bytes: 0 },
  { type: 'done', images: 1, failed: 0, bytes: 10_000_000 },
];

describe('prefetch', () => {
  test('tells a line for each change where there is no terminal', async () => {
    const url = await serve(telling(pulled));
    const short = digest.slice(7, 19);
    expect(await here(['prefetch', 'redis:7', '--admin', url])).toEqual({
      status: 0,
      stdout: [
        `${image}: started`,
        `${image}: ${short}: arriving, 10.0 MB`,
        `${image}: ${short}: done`,
        `${image}: done, all of it was here`,
        '1 of 1 image here, 10.0 MB fetched',
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  test('tells what the API tells as JSON', async () => {
    const url = await serve(telling(pulled));
    const { status, stdout } = await here(['prefetch', 'redis:7', '--json', '--admin', url]);
    expect(status).toBe(0);
    expect(stdout).toBe(pulled.map((event) => `${JSON.stringify(event)}\n`).join(''));
  });

  test('redraws the layers on a terminal, and keeps a line an image', async () => {
    const drawn = new Gate();
    const run: Run = async (_request, { onEvent }) => {
      onEvent(layer);
      await drawn.pass();
      for (const event of pulled.slice(-2)) onEvent(event);
    };
    const url = await serve({ prefetcher: { run, status: () => [] } });
    const { status, stdout } = await onTerminal(['prefetch', 'redis:7', '--admin', url], {
      after: ' 5.00 MB / 10.0 MB ',
      input: () => drawn.open(),
    });
    expect(status).toBe(0);
    expect(stdout).toContain(`${digest.slice(7, 19)}  [==============>               ]`);
    expect(stdout).not.toContain('arriving, 10.0 MB');
    expect(stdout).toMatch(/redis:7: done, all of it was here[\s\S]*1 of 1 image here, 10\.0 MB fetched/);
    // The cursor comes back.
    expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
  });

  test('asks for what was named, on the platforms that were', async () => {
    const asked: unknown[] = [];
    const url = await serve(telling(pulled.slice(-1), asked));
    await here([
      'prefetch',
      'redis:7',
      'ghcr.io/a/b',
      '--platform',
      'linux/arm64',
      '--platform',
      'linux/aarch64',
      '--admin',
      url,
    ]);
    await here(['prefetch', 'redis:7', '--all-platforms', '--admin', url]);
    expect(asked).toEqual([
      expect.objectContaining({
        images: ['redis:7', 'ghcr.io/a/b'],
        platforms: [
          { os: 'linux', architecture: 'arm64' },
          { os: 'linux', architecture: 'arm64' },
        ],
      }),
      expect.objectContaining({ images: ['redis:7'], platforms: 'all' }),
    ]);
  });

  test('reads files and stdin, and says what it leaves out', async () => {
    const asked: { images: readonly string[] }[] = [];
    const url = await serve(telling(pulled.slice(-1), asked));
    const files = {
      Dockerfile: 'FROM alpine:3.20\nFROM $GONE\n',
      'app/compose.yaml': 'services: {a: {image: "nginx:${TAG}"}, b: {image: "x:${OTHER}", platform: linux/arm64}}',
      'app/.env': 'TAG=1\nOTHER=2\n',
    };
    const argv = [
      'prefetch',
      'redis',
      '--from',
      'Dockerfile',
      '--from',
      'app/compose.yaml',
      '--from',
      '-',
      '--admin',
      url,
    ];
    const { status, stderr } = await run(argv, { files, env: { TAG: 'env' }, input: 'redis\nmysql\n' });
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: 'left out: Dockerfile: line 2: $GONE: GONE has no default\n',
    });
    expect(asked.map(({ images }) => images)).toEqual([['redis', 'alpine:3.20', 'nginx:env', 'mysql'], ['x:2']]);
  });

  test('exits with 1 when something failed', async () => {
    const failed: readonly PrefetchLine[] = [
      { type: 'image', image, state: 'failed', error: 'no such image' },
      { type: 'done', images: 1, failed: 1, bytes: 0 },
    ];
    const url = await serve(telling(failed));
    expect(await here(['prefetch', 'redis:7', '--admin', url])).toEqual({
      status: 1,
      stdout: `${image}: failed: no such image\n0 of 1 image here, 0 B fetched\n`,
      stderr: 'stillwater: 1 of 1 image did not come whole; what came is kept\n',
    });
  });

  test('that ends before it is done is a failure', async () => {
    const url = await serve(telling(pulled.slice(0, 2)));
    const { status, stderr } = await here(['prefetch', 'redis:7', '--admin', url]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `stillwater: the mirror at ${url} broke off before all was done; see its log\n`,
    });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it, here and at the mirror', async (signal) => {
    const left = new Gate();
    const run: Run = async (_request, { onEvent, signal: gone }) => {
      gone.addEventListener('abort', () => left.open());
      onEvent({ type: 'image', image, state: 'started' });
      await left.pass();
    };
    const url = await serve({ prefetcher: { run, status: () => [] } });
    const { process, ended } = start(['prefetch', 'redis:7', '--admin', url]);
    process.stdout?.once('data', () => process.kill(signal));
    expect(await ended).toEqual({ status: signal === 'SIGINT' ? 130 : 143, stdout: `${image}: started\n`, stderr: '' });
    await left.pass();
  });

  test.each<[string[], Record<string, string>, string, number]>([
    [[], {}, 'name an image, or a file that has some with --from FILE; see stillwater --help', 2],
    [
      ['x', '--platform', 'arm'],
      {},
      '--platform: found "arm", allowed is OS/ARCHITECTURE such as linux/arm64; see stillwater --help',
      2,
    ],
    [
      ['x', '--platform', 'linux/arm64', '--all-platforms'],
      {},
      '--platform and --all-platforms: give one of them; see stillwater --help',
      2,
    ],
    [['a//b'], {}, '"a//b": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help', 2],
    [['--from', 'gone'], {}, 'cannot read gone: there is no such file', 1],
    [['--from', 'd'], { 'd/x': '' }, 'cannot read d: EISDIR', 1],
    [
      ['--from', 'a.yaml'],
      { 'a.yaml': 'a: [1' },
      'cannot read images from a.yaml: line 1: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
      1,
    ],
    [['--from', 'list'], { list: '# none\n' }, 'cannot read images from list: it names none', 1],
    [['--from', 'list'], { list: 'x\ny z\n' }, 'cannot read images from list: line 2: "y z" is not an image', 1],
    [
      ['--from', 'list'],
      { list: 'x\nx/BAD\n' },
      'cannot read images from list: line 2: "x/BAD" is not a repository: its name is in lower case',
      1,
    ],
    [['x', 'x/BAD'], {}, '"x/BAD": not a repository: its name is in lower case; see stillwater --help', 2],
  ])('%j with %j is told in one line', async (argv, files, fault, status) => {
    expect(await run(['prefetch', ...argv, '--admin', 'http://127.0.0.1:1'], { files })).toEqual({
      status,
      stdout: '',
      stderr: `stillwater: ${fault}\n`,
    });
  });
});

describe('what is asked of the API', () => {
  test('is a question for each platform that the files name', () => {
    const listed = [
      { image: 'a' },
      { image: 'b', platform: 'linux/arm64' },
      { image: 'a' },
      { image: 'c', platform: 'linux/arm64' },
    ];
    expect(wishesOf(listed, { platforms: ['linux/amd64'] })).toEqual([
      { images: ['a'], platforms: ['linux/amd64'] },
      { images: ['b', 'c'], platforms: ['linux/arm64'] },
    ]);
    expect(wishesOf(listed, {})).toEqual([{ images: ['a'] }, { images: ['b', 'c'], platforms: ['linux/arm64'] }]);
    expect(wishesOf(listed, { allPlatforms: true })).toEqual([{ images: ['a', 'b', 'c'], allPlatforms: true }]);
  });

  test('is no more than it takes at once', () => {
    const listed = Array.from({ length: 2500 }, (_, index) => ({ image: `image${index}` }));
    expect(wishesOf(listed, {}).map(({ images }) => images.length)).toEqual([1000, 1000, 500]);
  });
});

describe('verify', () => {
  const lie = { type: 'damaged', digest, sizeBytes: 10, found: 'other\u001b bytes', isDropped: false } as const;
  const done = {
    type: 'done',
    checkedBlobs: 2,
    checkedBytes: 20,
    damaged: 1,
    missing: 0,
    unread: 0,
    dropped: 0,
  } as const;
  const finding = (asked: unknown[], ...events: readonly VerifyLine[]): StartAdminOptions => ({
    verify: async ({ repair, onEvent }) => {
      asked.push(repair);
      for (const event of events) onEvent(event);
    },
  });

  test('exits with 1 when something lies, and says what', async () => {
    const asked: unknown[] = [];
    const url = await serve(finding(asked, lie, done));
    expect(await here(['verify', '--admin', url])).toEqual({
      status: 1,
      stdout: `${digest}: damaged, 10 B: found other? bytes\n2 blobs, 20 B checked: 1 damaged, 0 missing, 0 unread, 0 removed\n`,
      stderr: 'stillwater: 1 blob damaged or missing; stillwater verify --repair removes what lies\n',
    });
    expect(asked).toEqual([false]);
  });

  test('exits with 1 after a repair too', async () => {
    const asked: unknown[] = [];
    const url = await serve(finding(asked, { ...lie, isDropped: true }, { ...done, dropped: 1 }));
    const { status, stderr } = await here(['verify', '--repair', '--admin', url]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'stillwater: 1 blob damaged or missing; what lied was removed, and comes again with a pull\n',
    });
    expect(asked).toEqual([true]);
  });

  test('exits with 0 when nothing does, and tells what the API tells as JSON', async () => {
    const events = [
      { type: 'progress', checkedBlobs: 1, totalBlobs: 2, checkedBytes: 1, totalBytes: 2 },
      { ...done, damaged: 0 },
    ] as const;
    const url = await serve(finding([], ...events));
    expect(await here(['verify', '--json', '--admin', url])).toEqual({
      status: 0,
      stdout: events.map((event) => `${JSON.stringify(event)}\n`).join(''),
      stderr: '',
    });
  });

  test('exits with 1 when something could not be read, and says what and why', async () => {
    const unread = { ...lie, type: 'unread', found: 'EACCES:\u001b permission denied' } as const;
    const url = await serve(finding([], unread, { ...done, damaged: 0, unread: 1 }));
    expect(await here(['verify', '--repair', '--admin', url])).toEqual({
      status: 1,
      stdout: `${digest}: unread, 10 B: EACCES:? permission denied\n2 blobs, 20 B checked: 0 damaged, 0 missing, 1 unread, 0 removed\n`,
      stderr: 'stillwater: 1 blob could not be read; the lines above say why\n',
    });
  });

  test('tells of lies and of what could not be read in one', async () => {
    const url = await serve(finding([], { ...done, missing: 2, unread: 2, dropped: 3 }));
    expect((await here(['verify', '--repair', '--admin', url])).stderr).toBe(
      'stillwater: 3 blobs damaged or missing; what lied was removed, and comes again with a pull; 2 blobs could not be read; the lines above say why\n',
    );
  });

  test('that breaks off is a failure', async () => {
    const url = await serve(finding([], lie));
    expect((await here(['verify', '--admin', url])).stderr).toBe(
      'stillwater: the mirror broke off before all was checked; see its log\n',
    );
  });

  test('has a line for each lie', () => {
    expect(eventLine({ type: 'missing', digest, sizeBytes: 5, isDropped: true })).toBe(
      `${digest}: missing, 5 B; removed`,
    );
  });
});

describe('import', () => {
  const got: unknown[] = [];
  const importing: StartAdminOptions = {
    importArchive: async ({ body, sizeBytes, name, onEvent }) => {
      const content = await text(body);
      got.push([name, content, sizeBytes]);
      if (content === 'bad') throw new Error('the archive was not imported: it is neither');
      onEvent({ type: 'image', image, digest, bytes: 3 });
      return [{ image, bytes: 3 }];
    },
  };

  test('sends files and stdin', async () => {
    got.length = 0;
    const url = await serve(importing);
    const files = { 'a.tar': 'one', 'b.tar': 'two' };
    expect(await run(['import', 'a.tar', 'b.tar', '--admin', url], { files })).toEqual({
      status: 0,
      stdout: `imported ${image}  ${digest.slice(7, 19)}  3 B\n`.repeat(2),
      stderr: '',
    });
    const { stdout } = await run(['import', '-', '--name', 'my/app:1', '--json', '--admin', url], { input: 'three' });
    expect(stdout.split('\n').slice(-3)).toEqual([
      JSON.stringify({ type: 'image', image, digest, bytes: 3 }),
      JSON.stringify({ type: 'done', images: 1, bytes: 3 }),
      '',
    ]);
    expect(got).toEqual([
      [undefined, 'one', 3],
      [undefined, 'two', 3],
      ['my/app:1', 'three', undefined],
    ]);
  });

  test.each<[string[], string, number]>([
    [['bad.tar'], 'bad.tar: the archive was not imported: it is neither', 1],
    [['gone.tar'], 'cannot read gone.tar: there is no such file', 1],
    [['d'], 'cannot read d: it is a directory; pack it into a tar', 1],
    [[], "missing required argument 'file'; see stillwater --help", 2],
    [['a', 'b', '--name', 'x'], '--name is for a single archive; see stillwater --help', 2],
    [['-', '-'], 'stdin can be read once; see stillwater --help', 2],
    [['a', '--name', 'a//b'], '"a//b": not an image: write REPO, REPO:TAG or REPO@DIGEST; see stillwater --help', 2],
  ])('%j is told in one line', async (argv, fault, status) => {
    const url = await serve(importing);
    const files = { 'bad.tar': 'bad', 'd/x': '' };
    expect(await run(['import', ...argv, '--admin', url], { files })).toEqual({
      status,
      stdout: '',
      stderr: `stillwater: ${fault}\n`,
    });
  });
});

describe('export', () => {
  const asked: unknown[] = [];
  const exporting: StartAdminOptions = {
    exportImages: async ({ images, platforms }) => {
      asked.push([images.length, platforms]);
      return {
        sizeBytes: 7,
        body: (async function* () {
          yield Buffer.from('the ');
          yield Buffer.from('tar');
        })(),
      };
    },
  };

  test('writes a file, and stdout', async () => {
    asked.length = 0;
    const url = await serve(exporting);
    const cwd = directoryWith({});
    expect(await run(['export', 'a', 'b:1', '-o', 'x.tar', '--admin', url], { cwd })).toEqual({
      status: 0,
      stdout: '',
      stderr: 'wrote 7 B to x.tar\n',
    });
    expect(readFileSync(join(cwd, 'x.tar'), 'utf8')).toBe('the tar');
    expect(readdirSync(cwd)).toEqual(['x.tar']);
    const argv = ['export', 'a', '--platform', 'linux/aarch64', '-o', '-', '--admin', url];
    expect(await run(argv, { cwd })).toEqual({ status: 0, stdout: 'the tar', stderr: 'wrote 7 B to stdout\n' });
    await here(['export', 'a', '--all-platforms', '-o', '-', '--admin', url]);
    expect(asked).toEqual([
      [2, undefined],
      [1, [{ os: 'linux', architecture: 'arm64' }]],
      [1, 'all'],
    ]);
  });

  test('that breaks off leaves what was there before', async () => {
    const url = await serve({
      exportImages: async () => ({
        sizeBytes: 100,
        body: (async function* () {
          yield Buffer.from('the ');
          throw new Error('the disk is gone');
        })(),
      }),
    });
    const cwd = directoryWith({ 'x.tar': 'before' });
    const { status, stderr } = await run(['export', 'a', '-o', 'x.tar', '--admin', url], { cwd });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^stillwater: the mirror at \S+ broke off: .*\n$/),
    });
    expect(readFileSync(join(cwd, 'x.tar'), 'utf8')).toBe('before');
    expect(readdirSync(cwd)).toEqual(['x.tar']);
  });

  test('to a terminal is refused', async () => {
    const url = await serve(exporting);
    const { status, stdout } = await onTerminal(['export', 'a', '-o', '-', '--admin', url]);
    expect(status).toBe(2);
    expect(stdout).toContain('a tar is nothing for a terminal: write it to a file with -o FILE, or into a pipe');
  });

  test.each<[string[], string, number]>([
    [['a'], "required option '-o, --output <file>' not specified; see stillwater --help", 2],
    [['a', '-o', 'gone/x.tar'], 'cannot write gone/x.tar: its directory does not exist; make it first', 1],
    [
      ['a', '-o', 'x', '--platform', 'arm'],
      '--platform: found "arm", allowed is OS/ARCHITECTURE such as linux/arm64; see stillwater --help',
      2,
    ],
    [
      ['a', '-o', 'x', '--platform', 'linux/arm64', '--all-platforms'],
      '--platform and --all-platforms: give one of them; see stillwater --help',
      2,
    ],
  ])('%j is told in one line', async (argv, fault, status) => {
    const url = await serve(exporting);
    const cwd = directoryWith({});
    expect(await run(['export', ...argv, '--admin', url], { cwd })).toEqual({
      status,
      stdout: '',
      stderr: `stillwater: ${fault}\n`,
    });
    expect(existsSync(join(cwd, 'x'))).toBe(false);
  });
});

describe('reload', () => {
  test('says what is in effect, and what is not', async () => {
    const url = await serve({ reload: async () => ({ changed: ['tags.ttl'], needsRestart: ['listen.port'] }) });
    expect(await here(['reload', '--admin', url])).toEqual({
      status: 0,
      stdout: 'tags.ttl: in effect\nlisten.port: changed, and waits for a restart\n',
      stderr: '',
    });
    expect(JSON.parse((await here(['reload', '--json', '--admin', url])).stdout)).toMatchObject({
      changed: ['tags.ttl'],
    });
  });

  test('of the same says so', async () => {
    const url = await serve({ reload: async () => ({ changed: [], needsRestart: [] }) });
    expect((await here(['reload', '--admin', url])).stdout).toBe('nothing has changed\n');
  });

  test('that is refused gives the reason', async () => {
    const url = await serve({ reload: () => Promise.reject(new Error('config.json: tags.ttl: found "x"')) });
    expect(await here(['reload', '--admin', url])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'stillwater: config.json: tags.ttl: found "x"\n',
    });
  });
});
