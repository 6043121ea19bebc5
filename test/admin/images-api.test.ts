// What is cached, asked for and forgotten over the API: what names and globs become, and what is refused.
import { describe, expect, test } from 'vitest';
import type { ImagesApiOptions } from '../../src/admin/images-api.ts';
import { ImageQueryError } from '../../src/mirror/images/images.ts';
import { PinnedError } from '../../src/mirror/images/purge.ts';
import { formatReference } from '../../src/oci/reference.ts';
import { formatRepository } from '../../src/oci/repository.ts';
import { cachedImage, digest } from './fake-mirror.ts';
import { LongClient } from './long-client.ts';
import { startAdmin, why } from './start-admin.ts';

const images = '/api/v1/images';
const purged = { images: ['a'], imageCount: 1, blobs: 2, bytes: 3, pinned: ['b'] };
const nothing: typeof purged = { images: [], imageCount: 0, blobs: 0, bytes: 0, pinned: [] };

/** Keeps what it is asked for. */
function cache({
  found = [cachedImage],
  gone = purged,
}: {
  found?: (typeof cachedImage)[];
  gone?: typeof purged;
} = {}) {
  const asked: unknown[] = [];
  const options: Pick<ImagesApiOptions, 'images' | 'purge'> = {
    images: {
      list: async (query, signal) => {
        asked.push({ ...query, isLeft: signal.aborted });
        return { images: found, cursor: undefined };
      },
      find: async (repository, reference) => {
        asked.push([formatRepository(repository), reference && formatReference(reference)]);
        return found;
      },
    },
    purge: {
      run: async (target) => {
        asked.push(
          'repository' in target
            ? [formatRepository(target.repository), target.reference && formatReference(target.reference)]
            : target,
        );
        return gone;
      },
    },
  };
  return { asked, options };
}

describe('the list', () => {
  test.each([
    ['', { limit: 100 }],
    [
      '?match=docker.io/**:7*&sort=size&limit=1000&cursor=a%26b',
      { match: 'docker.io/**:7*', sort: 'size', limit: 1000, cursor: 'a&b' },
    ],
    ['?limit=1&sort=name', { limit: 1, sort: 'name' }],
  ])('of %j is asked for as %j', async (query, expected) => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    const answer = await admin.ask(`${images}${query}`);
    expect([answer.status, asked]).toEqual([200, [{ ...expected, isLeft: false }]]);
    expect(JSON.parse(answer.body.toString())).toEqual({ images: [JSON.parse(JSON.stringify(cachedImage))] });
  });

  test.each([
    ['?limit=0', 'limit: write a whole number from 1 to 1000'],
    ['?limit=1001', 'limit: write a whole number from 1 to 1000'],
    ['?limit=-1', 'limit: write a whole number from 1 to 1000'],
    ['?limit=1.5', 'limit: write a whole number from 1 to 1000'],
    ['?limit=', 'limit: write a whole number from 1 to 1000'],
    ['?limit=1&limit=2', 'limit: write a whole number from 1 to 1000'],
    ['?sort=age', 'sort: write name, size, used'],
    ['?match=', 'match: write one glob on REGISTRY/PATH, with :TAG behind it if you like'],
    [`?match=${'x'.repeat(1001)}`, 'match: write one glob on'],
    [`?cursor=${'x'.repeat(2001)}`, 'cursor: write the cursor that the page before gave'],
    ['?macth=x', 'not known here: "macth"; known are match, sort, limit, cursor'],
    ['?__proto__=x', 'not known here: "__proto__"'],
  ])('of %s is refused: %s', async (query, message) => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    const answer = await admin.ask(`${images}${query}`);
    expect([answer.status, why(answer), asked]).toEqual([400, expect.stringContaining(message), []]);
  });
});

test('what the cache cannot list is 400, in its own words', async () => {
  const { options } = cache();
  const list = async () => {
    throw new ImageQueryError('not a cursor: take the one that the page before gave');
  };
  await using admin = await startAdmin({ images: { ...options.images, list } });
  const answer = await admin.ask(`${images}?cursor=x`);
  expect([answer.status, why(answer)]).toEqual([400, 'not a cursor: take the one that the page before gave']);
});

test('what is wrong is told in one line of a bounded length', async () => {
  await using admin = await startAdmin();
  const keys = Array.from({ length: 50 }, (_, place) => `${'x%0a'.repeat(100)}${place}=1`);
  const answer = await admin.ask(`${images}?${keys.join('&')}`);
  expect([answer.status, why(answer)]).toEqual([400, expect.stringMatching(/^not known here: [^\n]{400,500}…$/)]);
});

describe.each(['GET', 'HEAD', 'DELETE'])('%s of one image', (method) => {
  test.each([
    ['redis', 'docker.io/library/redis', undefined],
    ['redis:7', 'docker.io/library/redis', '7'],
    [`index.docker.io/acme/app@${digest}`, 'docker.io/acme/app', digest],
    ['registry.test:5000/deep/er/app:v1', 'registry.test:5000/deep/er/app', 'v1'],
    ['registry.test:5000/secret/app', 'registry.test:5000/secret/app', undefined],
    ['gone.example/app', 'gone.example/app', undefined],
    ['pin', 'docker.io/library/pin', undefined],
    ['pin/pin:1', 'docker.io/pin/pin', '1'],
    [encodeURIComponent('redis:7'), 'docker.io/library/redis', '7'],
  ])('of %s is of %s, %s', async (image, repository, reference) => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    const { status } = await admin.ask(`${images}/${image}`, { method });
    expect([status, asked]).toEqual([200, [[repository, reference]]]);
  });

  test.each([
    ['redis:', 400],
    ['redis@sha256:7', 400],
    ['Redis', 400],
    ['a/../redis', 400],
    ['acme%2Fapp', 400],
    ['%zz', 400],
    ['gone.example/App', 404],
    ['', 404],
  ])('of %s is refused with %i', async (image, status) => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    const answer = await admin.statusOf(`${method} ${images}/${image} HTTP/1.1`, 'Host: localhost');
    expect([answer, asked]).toEqual([status, []]);
  });

  test('that is not cached is 404 and says as what it was looked for', async () => {
    const { options } = cache({ found: [], gone: nothing });
    await using admin = await startAdmin(options);
    const answer = await admin.ask(`${images}/redis:7`, { method });
    expect(answer.status).toBe(404);
    if (method !== 'HEAD') expect(why(answer)).toBe('nothing is cached as docker.io/library/redis:7');
  });
});

describe('forgetting', () => {
  test('by a glob is of the glob, and finding nothing is no failure', async () => {
    const { asked, options } = cache({ gone: nothing });
    await using admin = await startAdmin(options);
    const answer = await admin.ask(`${images}?match=**/redis:7`, { method: 'DELETE' });
    expect([answer.status, JSON.parse(answer.body.toString()), asked]).toEqual([
      200,
      nothing,
      [{ match: '**/redis:7' }],
    ]);
  });

  test.each(['', '?match=', '?macth=**', '?match=a&match=b', '?match=**&limit=1'])(
    'everything by accident is refused: DELETE of %j',
    async (query) => {
      const { asked, options } = cache();
      await using admin = await startAdmin(options);
      for (const path of [`${images}${query}`, `${images}/${query}`])
        expect([400, 404]).toContain((await admin.ask(path, { method: 'DELETE' })).status);
      expect(asked).toEqual([]);
    },
  );

  test.each([
    ['redis', 'docker.io/library/redis'],
    ['acme/app/pin', 'docker.io/acme/app/pin'],
    ['registry.test:5000/secret/app', 'registry.test:5000/secret/app'],
    ['gone.example/app', 'gone.example/app'],
  ])('all of the repository %s is of %s, and finding nothing is 404', async (name, repository) => {
    for (const [gone, status] of [
      [purged, 200],
      [nothing, 404],
    ] as const) {
      const { asked, options } = cache({ gone });
      await using admin = await startAdmin(options);
      const answer = await admin.ask(`${images}?repository=${name}`, { method: 'DELETE' });
      expect([answer.status, asked]).toEqual([status, [[repository, undefined]]]);
    }
  });

  test.each([
    ['', 'what was given: write match or repository, and one of them only'],
    ['?match=**&repository=redis', 'what was given: write match or repository, and one of them only'],
    ['?repository=', 'repository: write one REPO, without a tag or digest'],
    ['?repository=a&repository=b', 'repository: write one REPO, without a tag or digest'],
    [`?repository=${'x'.repeat(513)}`, 'repository: write one REPO'],
    ['?repository=redis:7', 'not a repository name: "redis:7"'],
    ['?repository=docker.io/*', 'not a repository name: "*"'],
    ['?repositroy=redis', 'not known here: "repositroy"; known are match, repository'],
  ])('of %j is refused: %s', async (query, message) => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    const answer = await admin.ask(`${images}${query}`, { method: 'DELETE' });
    expect([answer.status, why(answer), asked]).toEqual([400, expect.stringContaining(message), []]);
  });

  test('of a bare digest is of that digest', async () => {
    const { asked, options } = cache();
    await using admin = await startAdmin(options);
    expect((await admin.ask(`/api/v1/blobs/${digest}`, { method: 'DELETE' })).status).toBe(200);
    const wrong = await admin.ask('/api/v1/blobs/sha256:7', { method: 'DELETE' });
    expect([wrong.status, why(wrong)]).toEqual([400, 'not a sha256 or sha512 digest: "sha256:7"']);
    expect(asked).toEqual([{ digest }]);
  });

  test('only what is pinned and stays is found all the same', async () => {
    const { options } = cache({ gone: { ...nothing, pinned: ['docker.io/library/redis:7'] } });
    await using admin = await startAdmin(options);
    expect((await admin.ask(`${images}/redis`, { method: 'DELETE' })).status).toBe(200);
  });

  test('what is pinned is 409, with what to do', async () => {
    const run = async () => {
      throw new PinnedError('docker.io/library/redis:7 is pinned: unpin it first');
    };
    await using admin = await startAdmin({ purge: { run } });
    for (const path of [`${images}/redis:7`, `/api/v1/blobs/${digest}`]) {
      const answer = await admin.ask(path, { method: 'DELETE' });
      expect([answer.status, why(answer)]).toEqual([409, 'docker.io/library/redis:7 is pinned: unpin it first']);
    }
  });

  test('is ended by a client that leaves', async () => {
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const run = async (_: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => ended.resolve());
      begun.resolve();
      await ended.promise;
      return nothing;
    };
    await using admin = await startAdmin({ purge: { run } });
    const client = new LongClient(admin.url, `${images}?match=**`, { method: 'DELETE', body: '' });
    await begun.promise;
    client.leave();
    await ended.promise;
  });
});
