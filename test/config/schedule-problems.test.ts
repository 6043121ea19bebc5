// A schedule that could never be kept is refused when it is read, with what it would have to be.
import { describe, expect, test } from 'vitest';
import {
  cronObjection,
  imageObjection,
  platformObjection,
  scheduleProblems,
} from '../../src/config/schedule-problems.ts';

describe('a cron expression', () => {
  test.each(['0 3 * * *', '*/5 * * * *', '0 3 * * MON-FRI', '30 2 1 1 *', '@daily', '@weekly', ' 0 3 * * * '])(
    'is %s',
    (text) => {
      expect(cronObjection(text)).toBeUndefined();
    },
  );

  test.each([
    ['', 'five fields'],
    ['daily', 'five fields'],
    ['0 3 * *', 'five fields'],
    ['* * * * * *', 'five fields'],
    ['0 0 3 * * * 2020', 'five fields'],
    ['2030-01-01T00:00:00', 'five fields'],
    ['61 * * * *', 'Invalid value for minute: 61'],
    ['0 3 * * FOO', 'here: '],
    ['@reboot', 'here: @reboot'],
    ['0 3 31 2 *', 'due on some day'],
  ])('is not %j', (text, why) => {
    expect(cronObjection(text)).toContain(why);
    expect(cronObjection(text)).not.toContain('\n');
  });
});

describe('an image', () => {
  const upstreams = ['docker.io', 'ghcr.io', 'localhost:5000', 'internal'];
  const digest = `sha256:${'0a'.repeat(32)}`;

  test.each([
    'redis',
    'redis:7',
    'library/redis',
    'docker.io/redis',
    'index.docker.io/library/redis:7',
    'registry.hub.docker.com/library/redis:7',
    `ghcr.io/acme/app@${digest}`,
    'localhost:5000/app:1',
    'internal/app:1',
  ])('is %s', (text) => {
    expect(imageObjection(text, upstreams)).toBeUndefined();
  });

  test.each([
    ['', 'an image such as'],
    ['Redis', 'in lower case'],
    ['docker.io/Redis:7', 'in lower case'],
    ['https://docker.io/redis', 'in lower case'],
    ['redis:!', 'not a tag: "!"'],
    ['redis@sha256:1', 'not a sha256 or sha512 digest'],
    ['quay.io/acme/app', 'one of the upstreams: docker.io, ghcr.io'],
    ['localhost/app', 'one of the upstreams'],
  ])('is not %j', (text, why) => {
    expect(imageObjection(text, upstreams)).toContain(why);
  });

  test('may be of any registry where all are let through', () => {
    expect(imageObjection('quay.io/acme/app', [...upstreams, '*'])).toBeUndefined();
  });
});

test.each([
  ['linux/amd64', undefined],
  ['linux/arm/v7', undefined],
  ['all', undefined],
  ['amd64', 'a platform such as "linux/amd64", or "all"'],
  ['', 'a platform such as "linux/amd64", or "all"'],
])('the platform %j is objected to with %s', (text, objection) => {
  expect(platformObjection(text)).toBe(objection);
});

test('each problem is told with its place', () => {
  const schedule = [
    { cron: '0 3 * * *', images: ['redis'] },
    { cron: 'never', images: ['redis', 'Redis'], platforms: ['linux/amd64', 'amd64'] },
  ];
  const problems = scheduleProblems({ prefetch: { schedule }, upstreams: { 'docker.io': {} } });
  expect(problems.map(({ path }) => path.join('.'))).toEqual([
    'prefetch.schedule.1.cron',
    'prefetch.schedule.1.images.1',
    'prefetch.schedule.1.platforms.1',
  ]);
});
