// An upstream put together: what the log hears of its health.
import pino from 'pino';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';
import { openUpstream } from '../../src/upstream/open-upstream.ts';
import { refusals } from '../support/faults.ts';
import { latest, openEndpoints, path } from './endpoints-scene.ts';
import { never } from './upstream-scene.ts';

function listen() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  return { log, lines };
}

describe('the log hears', () => {
  test('once that an endpoint rests, and why', async () => {
    const { log, lines } = listen();
    await using at = await openEndpoints({ count: 1, log });
    await at.registry.close();
    for (let times = 0; times < 10; times++) await at.upstream.resolve(path, latest, never).catch(() => {});
    expect(lines).toEqual([
      expect.objectContaining({
        level: 40,
        upstream: 'registry.test',
        endpoint: at.registry.url,
        problem: expect.stringContaining('could not be reached'),
        msg: 'rests: it is asked now and then',
      }),
    ]);
  });

  test('once that a login is refused, by its place and not by its name', async () => {
    const { log, lines } = listen();
    const credentials = { username: 'robot-7', password: 'correct horse' };
    await using at = await openEndpoints({ count: 1, log, credentials, servers: { auth: {} } });
    at.registry.tokens?.faults.add({}, refusals.unauthorized);
    for (let times = 0; times < 3; times++) await at.upstream.resolve(path, latest, never).catch(() => {});
    expect(lines.filter(({ msg }) => msg === 'a login rests')).toEqual([
      expect.objectContaining({ level: 40, upstream: 'registry.test', credential: '1' }),
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/robot-7|correct horse/);
  });
});

test('takes next to no room before anything is asked: there may be many that nobody configured', () => {
  const used = () => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return heapUsed + external + arrayBuffers;
  };
  const metrics = createMetrics();
  const before = used();
  const opened = Array.from({ length: 300 }, (_, index) =>
    openUpstream({
      name: `r${index}.example.com`,
      label: '*',
      endpoints: [new URL(`https://r${index}.example.com`)],
      connections: 32,
      parallel: 4,
      connectTimeoutMs: 1000,
      headersTimeoutMs: 1000,
      idleTimeoutMs: 1000,
      answerTimeoutMs: 1000,
      metrics,
      log: pino({ level: 'silent' }),
    }),
  );
  expect((used() - before) / opened.length).toBeLessThan(150_000);
});
