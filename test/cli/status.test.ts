// `status`: the screen, and how it goes on and ends.
import { afterEach, describe, expect, test } from 'vitest';
import type { ShownFill, ShownStatus } from '../../src/cli/answers.ts';
import { statusLines } from '../../src/cli/status-screen.ts';
import { digest, fill, upstreamStatus } from '../admin/fake-mirror.ts';
import { type StartedAdmin, startAdmin } from '../admin/start-admin.ts';
import { here, onTerminal, start } from './run-command.ts';

let admin: StartedAdmin | undefined;

async function serve(): Promise<string> {
  admin = await startAdmin();
  return admin.url;
}

afterEach(async () => {
  await admin?.[Symbol.asyncDispose]();
  admin = undefined;
});

const quiet: ShownStatus = {
  version: '1.2.3',
  startedAt: 0,
  uptimeSeconds: 7200,
  isOffline: false,
  requests: { hit: 80, miss: 15, joined: 1, revalidated: 3, stale: 1, failed: 2 },
  hitRatio: 0.84,
  servedBytes: 10_000_000,
  upstreamBytes: 2_000_000,
  savedBytes: 8_000_000,
  fillsInFlight: 0,
  cache: { dir: '/cache', bytes: 500, blobs: 3, budgetBytes: 1000, freeBytes: 2000, isWritable: true, problem: null },
  upstreams: [],
  prefetches: [],
  schedule: [],
  lastReload: null,
  readiness: [{ name: 'cache', problem: null }],
};

function screen(fields: Partial<ShownStatus>, fills: readonly ShownFill[] = []): string {
  return statusLines({ ...quiet, ...fields }, fills, 120).join('\n');
}

describe('the screen', () => {
  test('of a mirror that is well', () => {
    const well = { ...upstreamStatus, name: 'ghcr.io', endpoints: [] };
    expect(screen({ upstreams: [upstreamStatus, well] }).split('\n')).toEqual([
      'mirror     1.2.3, up 2 h',
      'ready      yes',
      'hit ratio  84 %  (80 hit, 15 miss, 1 joined, 3 revalidated, 1 stale, 2 failed)',
      'served     10.0 MB, of which 2.00 MB came from upstreams: 8.00 MB saved',
      'disk       [=========>          ]  500 B of 1.00 kB in 3 blobs, 2.00 kB free',
      '',
      'no fills in flight',
      '',
      'UPSTREAM   ENDPOINT               STATE                LIMITS AND PROBLEMS',
      'docker.io  https://registry.test  not asked for 5.0 s  anonymous: 7 of 100 pulls left in 6 h; it did not answer in time',
      'nothing to tell of ghcr.io',
    ]);
  });

  test('of one that has only begun', () => {
    expect(screen({ hitRatio: null, isOffline: true })).toMatch(
      /, offline\n[\s\S]*ratio {2}nothing was asked for yet\n/,
    );
  });

  test('tells what is wrong', () => {
    const text = screen({
      readiness: [
        { name: 'cache', problem: 'full\u001b' },
        { name: 'x', problem: null },
      ],
      cache: { ...quiet.cache, isWritable: false, problem: 'EROFS', freeBytes: null },
      lastReload: { at: Date.now() - 5000, error: 'tags.ttl: no', needsRestart: ['listen.port', 'cache.dir'] },
    });
    expect(text).toContain('ready      no: cache: full?\n');
    expect(text).toContain(', an unknown amount free\n           not written to: EROFS\n');
    expect(text).toMatch(
      /\nreload {5}refused 5\.\d s ago: tags\.ttl: no\nrestart {4}needed for listen\.port, cache\.dir\n/,
    );
  });

  test('has a bar for each fill, and counts those that have no room', () => {
    const arriving: ShownFill = { ...fill, bytesPerSecond: 2000 };
    const others: ShownFill[] = [
      { ...fill, state: 'waiting', readers: 1, sizeBytes: undefined },
      { ...fill, state: 'verifying', readers: 0 },
    ];
    const lines = screen({}, [arriving, ...others]).split('\n');
    expect(lines.slice(6, 10)).toEqual([
      '3 fills in flight',
      `  ${digest.slice(7, 19)}  [===========>                  ]  400 B / 1.00 kB  2.00 kB/s  2 readers  docker.io/library/redis`,
      `  ${digest.slice(7, 19)}  [                              ]  400 B / ?  waiting  1 reader  docker.io/library/redis`,
      `  ${digest.slice(7, 19)}  [===========>                  ]  400 B / 1.00 kB  verifying  0 readers  docker.io/library/redis`,
    ]);
    expect(
      screen(
        {},
        Array.from({ length: 15 }, () => arriving),
      ),
    ).toContain('\n  … and 5 more\n');
    expect(statusLines(quiet, [arriving], 80)[7]).not.toContain('[');
  });

  test('tells of credentials that rest or were refused', () => {
    const limit = { credential: '1', limit: undefined, remaining: undefined, windowSeconds: undefined };
    const limits = [
      { ...limit, retryInMs: 60_000, problem: 'wrong\npassword' },
      { ...limit, credential: '2', remaining: 5, retryInMs: undefined, problem: undefined },
      { ...limit, credential: '3', retryInMs: undefined, problem: undefined },
    ];
    const endpoint = { endpoint: 'https://a', isCircuitOpen: false, retryInMs: undefined, problem: undefined, limits };
    expect(
      screen({ upstreams: [{ name: 'a', endpoints: [endpoint] }] })
        .split('\n')
        .at(-1),
    ).toBe('a         https://a  fine   1: rests for 60 s refused: wrong?password; 2: 5 pulls left');
  });
});

test('status shows the screen once', async () => {
  const { status, stdout } = await here(['status', '--admin', await serve()]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^mirror {5}1\.2\.3, up /);
  expect(stdout).toContain('1 fill in flight');
});

test('status --json is what the API says', async () => {
  const { stdout } = await here(['status', '--json', '--admin', await serve()]);
  expect(JSON.parse(stdout)).toMatchObject({ version: '1.2.3', fillsInFlight: 1 });
});

test.each([[[]], [['--json']]])(
  'status %j of a mirror that is not ready shows it all the same, and fails',
  async (flags) => {
    const checks = [{ name: 'cache', check: async () => 'no space' }];
    admin = await startAdmin({ checks });
    const { status, stdout, stderr } = await here(['status', ...flags, '--admin', admin.url]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'stillwater: the mirror is not ready: cache: no space\n' });
    expect(stdout).toMatch(/^mirror|^\{/);
  },
);

test('status --watch goes on until Ctrl-C, which is no failure', async () => {
  const { process, ended } = start(['status', '--watch', '--json', '--admin', await serve()]);
  process.stdout?.once('data', () => process.kill('SIGINT'));
  const { status, stdout, stderr } = await ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ version: '1.2.3' });
});

test('status --watch redraws on a terminal', async () => {
  const argv = ['status', '--watch', '--admin', await serve()];
  const { status, stdout } = await onTerminal(argv, { after: 'nothing to tell of', input: '\u0003' });
  expect(status).toBe(0);
  expect(stdout).toContain('\u001b[?25l');
  expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
});
