// One address holds all the connections it gets and many guess passwords: everybody else is served as before.
// How fast is measured by bench/access-flood.ts: here nothing depends on time, on a machine that may do other things.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccessScene, registry } from '../support/access-scene.ts';
import { Caller } from '../support/caller.ts';
import { Flood } from '../support/flood.ts';
import { until } from '../support/until.ts';

const path = `/v2/${registry}/acme/open`;
const maxConnections = 200;

describe('a flood', { timeout: 120_000 }, () => {
  let scene: AccessScene;
  let layer = '';
  let pid = 0;

  beforeAll(async () => {
    scene = await AccessScene.start({
      stock: (upstream) => {
        layer = upstream.addImage('acme/open').layers[0]?.digest ?? '';
        upstream.addImage('acme/secret');
        upstream.makePrivate('acme/secret', 'robot');
      },
      env: { STILLWATER_LISTEN__MAX_CONNECTIONS: String(maxConnections) },
    });
    pid = scene.mirror.pid;
    for (const caller of [scene.callers.anonymous, scene.callers.alice])
      expect((await caller.ask(`${scene.mirror.url}${path}/manifests/latest`)).status).toBe(200);
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  test('of endless heads and wrong passwords keeps nobody else from pulling', async () => {
    const { mirror, callers } = scene;
    const others = Array.from({ length: 8 }, (_, index) => new Caller(`other ${index}`, `127.0.2.${index + 1}`));
    const told: string[] = [];
    {
      using flood = new Flood({
        port: mirror.port,
        slow: { connections: 2 * maxConnections, address: '127.0.3.1' },
        guesses: {
          perSecond: 200,
          addresses: 400,
          user: 'alice',
          path: `/v2/${registry}/acme/secret/manifests/latest`,
        },
      });
      // It is refused what is more than its share, and its guesses are being answered.
      await until('the flood is on', () => flood.figures.slowCut > maxConnections && flood.figures.guessed > 100);
      for (let round = 0; round < 50; round++)
        for (const caller of others)
          for (const what of ['manifests/latest', `blobs/${layer}`])
            told.push(String((await caller.ask(`${mirror.url}${path}/${what}`)).status));
      // Who was known before it began still is.
      const hers = await callers.alice.ask(`${mirror.url}/v2/${registry}/acme/secret/manifests/latest`);
      told.push(`alice ${hers.status}`);
      // It did go on all the while, and not one guess was let in.
      expect(flood.figures.slowNow).toBeGreaterThan(0);
      expect(Object.keys(flood.figures.answers).filter((answer) => !['404', '429', 'failed'].includes(answer))).toEqual(
        [],
      );
      expect(flood.figures.answers['404']).toBeGreaterThan(0);
    }
    for (const caller of others) caller[Symbol.dispose]();
    expect([...new Set(told)]).toEqual(['200', 'alice 200']);
  });

  test('leaves the same process behind, ready and without a failure of its own', async () => {
    const { mirror } = scene;
    expect(mirror.pid).toBe(pid);
    expect((await mirror.readiness()).text).toBe('ready\n');
    expect(mirror.logs.filter(({ level, msg }) => level === 'error' || msg === 'request failed')).toEqual([]);
    // Whoever flooded is served again once it has stopped.
    using calmed = new Caller('calmed', '127.0.3.1');
    const answer = await until('its connections are gone', async () => {
      const { status } = await calmed.ask(`${mirror.url}${path}/blobs/${layer}`);
      return status === 200 && status;
    });
    expect(answer).toBe(200);
  });
});
