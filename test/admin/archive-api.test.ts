// Archives over the API: never in memory as a whole, never half a tar that looks like one.
import { setImmediate as othersTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ArchiveApiOptions } from '../../src/admin/archive-api.ts';
import { LongAnswers } from '../../src/admin/long-answers.ts';
import { OciError } from '../../src/oci/errors.ts';
import { formatImage } from '../../src/oci/image-name.ts';
import { formatPlatform } from '../../src/oci/platform.ts';
import { Gate } from '../support/gate.ts';
import { RawClient } from '../support/raw-client.ts';
import { LongClient } from './long-client.ts';
import { startAdmin, why } from './start-admin.ts';

type Import = ArchiveApiOptions['importArchive'];
type Export = ArchiveApiOptions['exportImages'];

const post = { method: 'POST' };
const path = '/api/v1/import';
const chunk = Buffer.alloc(64 * 1024, 'x');

describe('an import', () => {
  test('takes the archive as it comes, under the name that was given', async () => {
    const seen: unknown[] = [];
    const arrived = new Gate();
    const importArchive: Import = async ({ body, name }) => {
      for await (const bytes of body) {
        seen.push([name, bytes.length]);
        void arrived.pass();
      }
      return [];
    };
    await using admin = await startAdmin({ importArchive });
    using client = new LongClient(admin.url, `${path}?name=acme%2Fapp:1`, post);
    await client.say(Buffer.from('half'));
    await arrived.reached;
    expect([seen, (await client.head()).statusCode]).toEqual([[['acme/app:1', 4]], 200]);
    client.finish();
    expect(await client.rest()).toEqual([{ type: 'done', images: 0, bytes: 0 }]);
  });

  test('reads no faster than the cache takes it', async () => {
    const gate = new Gate();
    const importArchive: Import = async ({ body }) => {
      let bytes = 0;
      for await (const piece of body) {
        bytes += piece.length;
        await gate.pass();
      }
      return [{ image: 'docker.io/library/redis:7', bytes }];
    };
    await using admin = await startAdmin({ importArchive });
    using client = new LongClient(admin.url, path, post);
    await client.say(chunk);
    await gate.reached;
    let said = 1;
    let isStuck = false;
    const filling = (async () => {
      for (; said < 2000; said++) {
        await client.say(chunk);
        isStuck = false;
      }
      client.finish();
    })();
    // Whatever the kernel keeps of it: once many turns have passed without a write, nobody reads.
    for (let turns = 0; turns < 2000; turns = isStuck ? turns + 1 : 0) {
      isStuck = true;
      await othersTurn();
    }
    expect(said).toBeLessThan(1900);
    gate.open();
    await filling;
    expect(await client.rest()).toEqual([{ type: 'done', images: 1, bytes: 2000 * chunk.length }]);
  });

  test('that is refused early says why to a client that is still sending', async () => {
    const importArchive: Import = async ({ body }) => {
      for await (const _ of body) throw new Error('the archive was not imported: it is no tar');
      return [];
    };
    await using admin = await startAdmin({ importArchive });
    using client = new LongClient(admin.url, path, post);
    for (let count = 0; count < 500; count++) await client.say(chunk);
    client.finish();
    expect(await client.rest()).toEqual([{ type: 'error', error: 'the archive was not imported: it is no tar' }]);
  });

  test('whose client leaves in the middle is told so, and ends', async () => {
    const ended = Promise.withResolvers<unknown>();
    const arrived = new Gate();
    const importArchive: Import = async ({ body, signal }) => {
      try {
        for await (const _ of body) void arrived.pass();
      } catch (error) {
        ended.resolve([signal.aborted, (error as Error).message]);
        throw error;
      }
      ended.resolve('it was whole');
      return [];
    };
    await using admin = await startAdmin({ importArchive });
    const client = new LongClient(admin.url, path, post);
    await client.say(chunk);
    await arrived.reached;
    client.leave();
    expect(await ended.promise).toEqual([expect.any(Boolean), 'aborted']);
  });

  test('tells whoever asks first to go on, and whoever comes too many not to', async () => {
    const gate = new Gate();
    await using admin = await startAdmin({ importArchive: () => gate.pass().then(() => []) });
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
    using one = RawClient.to(admin.url);
    using two = RawClient.to(admin.url);
    using three = RawClient.to(admin.url);
    for (const client of [one, two]) {
      client.say(head);
      expect(String(await client.piece())).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    }
    three.say(head);
    expect(String(await three.untilClosed())).toMatch(/^HTTP\/1\.1 409 /);
    gate.open();
  });
});

describe('an export', () => {
  test('is of the images and platforms that were named', async () => {
    const asked: unknown[] = [];
    const exportImages: Export = async ({ images, platforms }) => {
      const wish = typeof platforms === 'object' ? platforms.map(formatPlatform) : platforms;
      asked.push([images.map(({ repository, reference }) => formatImage(repository, reference)), wish]);
      return { sizeBytes: 0, body: (async function* () {})() };
    };
    await using admin = await startAdmin({ exportImages });
    for (const query of [
      'image=redis',
      'image=redis:7&image=gone.example/app&platform=linux/arm64&platform=linux/x86_64',
      'image=registry.test:5000/secret/app:1&platform=all',
    ])
      expect((await admin.ask(`/api/v1/export?${query}`)).status).toBe(200);
    expect(asked).toEqual([
      [['docker.io/library/redis:latest'], undefined],
      [
        ['docker.io/library/redis:7', 'gone.example/app:latest'],
        ['linux/arm64', 'linux/amd64'],
      ],
      [['registry.test:5000/secret/app:1'], 'all'],
    ]);
  });

  test.each([
    ['', 'image: name from 1 to 100 images'],
    [`?${'image=redis&'.repeat(101)}`, 'image: name from 1 to 100 images'],
    ['?image=redis:', 'not a tag: ""'],
    ['?image=Redis', 'not a repository name: "Redis"'],
    ['?image=redis&platform=arm64', 'not a platform: "arm64"; write OS/ARCHITECTURE, as in linux/arm64'],
    ['?image=redis&platform=all&platform=linux/amd64', 'not a platform: "all"'],
    ['?image=redis&images=x', 'not known here: "images"; known are image, platform'],
  ])('of %s is refused: %s', async (query, message) => {
    await using admin = await startAdmin();
    const answer = await admin.ask(`/api/v1/export${query}`);
    expect([answer.status, why(answer)]).toEqual([400, expect.stringContaining(message)]);
  });

  test('of more than one tar may have is refused in the words of whoever would write it', async () => {
    const exportImages: Export = () => Promise.reject(new OciError('UNSUPPORTED', 'export fewer of them at once'));
    await using admin = await startAdmin({ exportImages });
    const answer = await admin.ask('/api/v1/export?image=redis');
    expect([answer.status, why(answer)]).toEqual([400, 'export fewer of them at once']);
  });

  test('leaves as fast as its reader takes it, with its length ahead', async () => {
    let made = 0;
    const exportImages: Export = async () => ({
      sizeBytes: 2000 * chunk.length,
      body: (async function* () {
        for (; made < 2000; made++) yield chunk;
      })(),
    });
    await using admin = await startAdmin({ exportImages });
    using client = RawClient.to(admin.url).say('GET /api/v1/export?image=redis HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const body = await client.begin();
    expect([body.status, body.headers['content-type'], body.length]).toEqual([
      200,
      'application/x-tar',
      2000 * chunk.length,
    ]);
    for (let before = -1; made > before; ) {
      before = made;
      for (let turns = 0; turns < 2000; turns++) await othersTurn();
    }
    expect(made).toBeLessThan(1900);
    expect((await body.rest()).isComplete).toBe(true);
  });

  test('that breaks in the middle is no whole tar', async () => {
    const exportImages: Export = async () => ({
      sizeBytes: chunk.length,
      body: (async function* () {
        yield chunk.subarray(1);
        throw new Error('a blob is gone');
      })(),
    });
    await using admin = await startAdmin({ exportImages });
    // Over a connection that could go on: nothing else tells the reader that no more will come.
    using client = RawClient.to(admin.url).say('GET /api/v1/export?image=redis HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(await client.answer()).toMatchObject({ status: 200, isComplete: false });
  });

  test('is cut by the stop of the mirror, and ends when its reader leaves', async () => {
    for (const end of ['stop', 'leave']) {
      const ended = Promise.withResolvers<void>();
      const running = new LongAnswers();
      const exportImages: Export = async () => ({
        sizeBytes: Number.MAX_SAFE_INTEGER,
        body: (async function* () {
          try {
            for (;;) yield chunk;
          } finally {
            ended.resolve();
          }
        })(),
      });
      await using admin = await startAdmin({ exportImages, running });
      using client = new LongClient(admin.url, '/api/v1/export?image=redis');
      const head = await client.head();
      const closed = new Promise((resolve) => head.once('close', resolve));
      head.on('error', () => {});
      if (end === 'stop') await running[Symbol.asyncDispose]();
      else client.leave();
      await ended.promise;
      head.resume();
      await closed;
      expect(head.complete).toBe(false);
    }
  });

  test('asked for its head alone makes no tar', async () => {
    let isBegun = false;
    const exportImages: Export = async () => ({
      sizeBytes: 5,
      body: (async function* () {
        isBegun = true;
        yield Buffer.from('bytes');
      })(),
    });
    await using admin = await startAdmin({ exportImages });
    const { status, headers, body } = await admin.ask('/api/v1/export?image=redis', { method: 'HEAD' });
    expect([status, headers['content-length'], body.length, isBegun]).toEqual([200, '5', 0, false]);
  });
});
