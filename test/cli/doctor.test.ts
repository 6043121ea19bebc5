// `doctor` as people run it: with all well nothing is found, and each fault is found alone, with what to do about it.
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';
import { requireRoot } from '../support/tool.ts';
import { DoctorScene } from './doctor/doctor-scene.ts';

const account = { username: 'robot', password: 'correct horse' };

/** What is not right, by its name. */
function faults(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ mark }) => mark === 'fail' || mark === 'warn')
    .map(({ check, mark }) => `${mark}: ${check}`);
}

/** With a clock that is so far ahead. */
function clockAhead(ms: number): FakeUpstreamOptions {
  return {
    intercept: async ({ response }) => {
      response.setHeader('date', new Date(Date.now() + ms).toUTCString());
      return false;
    },
  };
}

describe('with all well', () => {
  test('everything is ok, and it exits with 0', async () => {
    await using scene = await DoctorScene.start();
    scene.mirror.addImage('library/busybox');
    using _ = await scene.startDockerd({ RegistryConfig: { Mirrors: [`${scene.mirror.url}/`] } });
    const { status, stdout, stderr } = await scene.run('--image', 'library/busybox');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const marks = stdout.split('\n').map((line) => /^(\S+) +([\w. -]+):/.exec(line)?.slice(1).join(' '));
    expect(marks.filter(Boolean)).toEqual([
      'ok mirror',
      'ok ready',
      'ok upstream docker.io',
      'ok clock',
      'ok disk',
      'ok dockerd',
      'ok test pull',
    ]);
  });

  test('what is not here is no fault', async () => {
    await using scene = await DoctorScene.start({ config: { admin: null, offline: true } });
    const findings = await scene.findings();
    expect(faults(findings)).toEqual([]);
    expect(findings.filter(({ mark }) => mark === 'skip').map(({ check }) => check)).toEqual([
      'ready',
      'upstreams',
      'dockerd',
      'test pull',
    ]);
    expect(scene.upstream.requests).toEqual([]);
  });
});

describe('it finds', () => {
  test('a mirror that is down, and how to start it', async () => {
    await using scene = await DoctorScene.start();
    await scene.mirror.close();
    const { status, stdout, stderr } = await scene.run('--image', 'library/busybox');
    expect(status).toBe(1);
    expect(stdout).toContain('FAIL  mirror: ');
    expect(stdout).toContain('-> start it: stillwater serve');
    expect(stdout).toContain('-     test pull: the mirror is not up\n');
    expect(stderr).toBe('stillwater: 1 of 6 checks failed: see above\n');
  });

  test('a mirror that is not ready, in its own words', async () => {
    await using scene = await DoctorScene.start();
    scene.readiness = { status: 503, text: 'cache: pulls are streamed past the disk: ENOSPC\n' };
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['fail: ready']);
    expect(findings[1]?.what).toContain('streamed past the disk: ENOSPC');
  });

  test('something else at the address of the mirror', async () => {
    await using scene = await DoctorScene.start();
    scene.mirror.faults.add({ kind: 'ping' }, { status: 404 });
    expect(faults(await scene.findings())).toEqual(['fail: mirror']);
  });

  test('an upstream that is out of reach', async () => {
    await using scene = await DoctorScene.start();
    await scene.upstream.close();
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['fail: upstream docker.io']);
    expect(findings.find(({ mark }) => mark === 'fail')?.remedy).toContain(
      `let this machine out to ${scene.upstream.url}`,
    );
  });

  test('an endpoint that is out of reach while another stands in for it', async () => {
    await using upstream = await startFakeUpstream();
    await using away = await startFakeUpstream();
    await away.close();
    await using scene = await DoctorScene.start({ settings: { endpoints: [away.url, upstream.url] } });
    expect(faults(await scene.findings())).toEqual(['warn: upstream docker.io']);
  });

  test('credentials that are not accepted, and tells them to nobody', async () => {
    const wrong = { ...account, password: 'hunter2' };
    await using scene = await DoctorScene.start({
      upstream: { auth: { accounts: [account] } },
      settings: { credentials: wrong },
    });
    const { status, stdout, stderr } = await scene.run('--json');
    expect(status).toBe(1);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(faults(findings)).toEqual(['fail: credentials of docker.io (login 1)']);
    expect(stdout).toContain('set upstreams.docker.io.credentials');
    expect(stdout + stderr).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  test('a pull limit that is used up', async () => {
    await using scene = await DoctorScene.start({
      upstream: {
        auth: {},
        afterLogin: async ({ response }) => {
          response.setHeader('ratelimit-limit', '100;w=21600').setHeader('ratelimit-remaining', '0;w=21600');
          return false;
        },
      },
    });
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['warn: pulls of docker.io']);
    expect(findings.find(({ mark }) => mark === 'warn')?.what).toBe('0 of 100 left');
  });

  test('a clock of ours that upstreams disagree with', async () => {
    await using scene = await DoctorScene.start({ upstream: clockAhead(3_600_000) });
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['fail: clock']);
    expect(findings.find(({ check }) => check === 'clock')?.what).toBe(
      'the clock of this machine is 60 min behind of what docker.io says',
    );
  });

  test('a clock of the mirror that is not ours', async () => {
    await using scene = await DoctorScene.start({ mirror: clockAhead(-600_000) });
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['fail: clock']);
    expect(findings.find(({ mark }) => mark === 'fail')?.what).toContain('the clock of the mirror is 10 min behind');
  });

  test('a dockerd that is not told of the mirror, and the line for it', async () => {
    await using scene = await DoctorScene.start();
    using _ = await scene.startDockerd({ RegistryConfig: { Mirrors: null } });
    const findings = await scene.findings();
    expect(faults(findings)).toEqual(['warn: dockerd']);
    expect(findings.find(({ mark }) => mark === 'warn')?.remedy).toBe(
      `put {"registry-mirrors":["${scene.mirror.url}"]} into /etc/docker/daemon.json; then systemctl reload docker`,
    );
  });

  test('a test pull that brings other bytes', async () => {
    await using scene = await DoctorScene.start();
    const { config } = scene.mirror.addImage('library/busybox');
    scene.mirror.faults.add({ path: config.digest }, { flipByteAt: 3 });
    const findings = await scene.findings('--image', 'library/busybox');
    expect(faults(findings)).toEqual(['fail: test pull']);
    expect(findings.at(-1)?.what).toContain(`what came for ${config.digest} is not it`);
  });
});

test.skipIf(!requireRoot())('it finds a disk that is nearly full', async () => {
  await using disk = await ScratchDisk.mount(16 * 1024 * 1024);
  await using scene = await DoctorScene.start({ config: { cache: { dir: disk.path, minFree: '8MiB' } } });
  expect(faults(await scene.findings())).toEqual([]);
  const release = await disk.fill();
  const findings = await scene.findings();
  expect(new Set(faults(findings))).toEqual(new Set(['fail: disk']));
  expect(findings.find(({ check }) => check === 'disk')?.what).toContain('cache.minFree, 8.39 MB');
  await release();
});

describe('wrong usage', () => {
  test.each([
    [
      ['--mirror', 'mirror:5000'],
      "option '--mirror <url>' argument 'mirror:5000' is invalid. Write it as http://mirror.example:5000",
    ],
    [
      ['--admin', '127.0.0.1'],
      "option '--admin <url>' argument '127.0.0.1' is invalid. Write it as http://127.0.0.1:5001",
    ],
    [['--image', 'a:b:c:'], /^option '--image <image>' argument 'a:b:c:' is invalid\. It is not a tag/],
  ])('%j is told in one line and exits with 2', async (argv, message) => {
    await using scene = await DoctorScene.start();
    const { status, stdout, stderr } = await scene.run(...argv);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^stillwater: [^\n]+; see stillwater --help\n$/);
    const said = stderr.slice('stillwater: '.length, -'; see stillwater --help\n'.length);
    expect(said).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });
});

test('what a dockerd says cannot move the cursor of a terminal', async () => {
  await using scene = await DoctorScene.start();
  using _ = await scene.startDockerd({ RegistryConfig: { Mirrors: ['http://\u001b[2Jelsewhere'] } });
  const { stdout } = await scene.run();
  expect(stdout).toContain('its mirrors are http://?[2Jelsewhere');
});
