// Images that are pinned and let go over the API.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { startAdmin, why } from './start-admin.ts';

const digest = digestOf(Buffer.from('an image'));

function pinPath(image: string): string {
  return `/api/v1/images/${image}/pin`;
}

describe('PUT', () => {
  test.each([
    ['redis', 'docker.io/library/redis latest'],
    ['redis:7', 'docker.io/library/redis 7'],
    ['acme/app:1.0', 'docker.io/acme/app 1.0'],
    ['docker.io/redis:7', 'docker.io/library/redis 7'],
    ['index.docker.io/acme/app', 'docker.io/acme/app latest'],
    ['registry.test:5000/app', 'registry.test:5000/app latest'],
    ['registry.test:5000/deep/er/app:v1', 'registry.test:5000/deep/er/app v1'],
    ['registry.test:5000/pin/pin', 'registry.test:5000/pin/pin latest'],
    [`redis@${digest}`, `docker.io/library/redis ${digest}`],
    [`registry.test:5000/app:v1@${digest}`, `registry.test:5000/app ${digest}`],
    [encodeURIComponent('redis:7'), 'docker.io/library/redis 7'],
  ])('of %s pins %s', async (image, pinned) => {
    await using admin = await startAdmin();
    for (let count = 0; count < 2; count++) {
      const { status, body } = await admin.ask(pinPath(image), { method: 'PUT' });
      expect([status, body.length, admin.pins()]).toEqual([204, 0, [pinned]]);
    }
  });

  test.each([
    ['redis:', 400, 'not a tag: ""'],
    ['redis:-', 400, 'not a tag: "-"'],
    ['redis:7:8', 400, 'not a repository name: "redis:7"'],
    ['redis@', 400, 'not a sha256 or sha512 digest: ""'],
    ['redis@sha256:abc', 400, 'not a sha256 or sha512 digest: "sha256:abc"'],
    ['redis:7@7', 400, 'not a sha256 or sha512 digest: "7"'],
    ['Redis', 400, 'not a repository name: "Redis"'],
    ['*', 400, 'not a repository name: "*"'],
    ['a/../redis', 400, 'not a repository name: "a/../redis"'],
    ['acme%2Fapp', 400, 'an encoded slash'],
    ['acme%00', 400, 'an encoded slash or NUL'],
    ['%0a', 404, 'there is nothing here'],
    ['%zz', 400, 'not valid percent-encoded UTF-8'],
    ['other.example/app', 404, 'registry other.example is not configured here'],
    ['registry.test:5000/secret/app', 403, 'upstreams.registry.test:5000.deny'],
  ])('of %s is refused with %i: %s', async (image, status, message) => {
    await using admin = await startAdmin();
    const answer = await admin.ask(pinPath(image), { method: 'PUT' });
    expect([answer.status, why(answer)]).toEqual([status, expect.stringContaining(message)]);
    expect([admin.pins(), admin.logLines.filter(({ audit }) => audit !== true)]).toEqual([[], []]);
  });

  test('of a path that says another thing to whoever tidies it up is refused', async () => {
    await using admin = await startAdmin();
    const host = 'Host: localhost';
    for (const target of [
      '/api/v1/images/redis/p%69n',
      '/api/v1/images/redis/x/../pin',
      '/api/v1/../v1/images/redis/pin',
    ])
      expect([target, await admin.statusOf(`PUT ${target} HTTP/1.1`, host)]).toEqual([target, 400]);
    expect(admin.pins()).toEqual([]);
  });

  test('may name this host in its target, as to a proxy', async () => {
    await using admin = await startAdmin();
    const target = `http://user:word@localhost${pinPath('red%69s')}?a`;
    expect(await admin.statusOf(`PUT ${target} HTTP/1.1`, 'Host: localhost')).toBe(204);
    expect(admin.pins()).toEqual(['docker.io/library/redis latest']);
    expect(admin.audit()).toMatchObject([{ what: `PUT ${pinPath('red%69s')}` }]);
  });

  test('that the index cannot take is a failure of ours, told in the log alone', async () => {
    await using admin = await startAdmin();
    admin.records.pin = () => {
      throw new Error('SQLITE_FULL in /var/cache');
    };
    const answer = await admin.ask(pinPath('redis'), { method: 'PUT' });
    expect([answer.status, why(answer)]).toEqual([500, 'the mirror failed at this; its log says why']);
    expect(admin.logLines).toContainEqual(
      expect.objectContaining({
        level: 50,
        method: 'PUT',
        err: expect.objectContaining({ message: expect.stringContaining('SQLITE_FULL') }),
      }),
    );
  });
});

describe('DELETE', () => {
  test.each(['redis:7', 'library/redis:7', 'docker.io/library/redis:7', 'index.docker.io/library/redis:7'])(
    'lets go of one image, written as %s, and of no other',
    async (image) => {
      await using admin = await startAdmin();
      for (const name of ['redis:7', 'redis:8', 'redis', `redis@${digest}`, 'acme/redis:7'])
        await admin.ask(pinPath(name), { method: 'PUT' });
      const answer = await admin.ask(pinPath(image), { method: 'DELETE' });
      expect([answer.status, answer.body.length]).toEqual([204, 0]);
      expect(admin.pins().sort()).toEqual([
        'docker.io/acme/redis 7',
        'docker.io/library/redis 8',
        'docker.io/library/redis latest',
        `docker.io/library/redis ${digest}`,
      ]);
    },
  );

  test.each([
    ['acme/app', { registry: 'docker.io', path: 'acme/app/pin' }],
    ['index.docker.io/acme/app', { registry: 'docker.io', path: 'acme/app/pin' }],
    ['pin', { registry: 'docker.io', path: 'pin/pin' }],
    ['registry.test:5000/secret/app', { registry: 'registry.test:5000', path: 'secret/app/pin', isPrivate: true }],
    ['gone.example/app', { registry: 'gone.example', path: 'app/pin' }],
  ])(
    'of %s is 409 where its path is that of a repository that is cached, unless the tag is written',
    async (image, named) => {
      await using admin = await startAdmin();
      admin.records.putTag(named, 'v1', { digest, checkedAt: 1 });
      const name = image === 'pin' ? 'library/pin' : image.replace(/^index\.docker\.io\/|^gone\.example\//, '');
      admin.records.pin({ registry: named.registry, path: name.replace(/^registry\.test:5000\//, '') }, 'latest');
      const pins = admin.pins();
      const answer = await admin.ask(pinPath(image), { method: 'DELETE' });
      expect([answer.status, why(answer), admin.pins()]).toEqual([
        409,
        `${image}/pin is a repository that is cached, too: write DELETE ${pinPath(`${image}:latest`)} to unpin ${image}:latest, or DELETE /api/v1/images?repository=${image}/pin to forget it`,
        pins,
      ]);
      expect([(await admin.ask(pinPath(`${image}:latest`), { method: 'DELETE' })).status, admin.pins()]).toEqual([
        204,
        [],
      ]);
    },
  );

  test('of a name alone is of its tag latest where a repository is cached that is only called nearly like its path', async () => {
    await using admin = await startAdmin();
    for (const path of ['acme/app/pi', 'acme/app/pin/x', 'acme/app/pins', 'other/pin'])
      admin.records.putTag({ registry: 'docker.io', path }, 'v1', { digest, checkedAt: 1 });
    await admin.ask(pinPath('acme/app'), { method: 'PUT' });
    expect([(await admin.ask(pinPath('acme/app'), { method: 'DELETE' })).status, admin.pins()]).toEqual([204, []]);
  });

  test.each(['redis:', 'redis@', 'acme%2Fapp', '%zz'])('of %s is 400', async (image) => {
    await using admin = await startAdmin();
    expect((await admin.ask(pinPath(image), { method: 'DELETE' })).status).toBe(400);
  });

  test('of what is not pinned is 404 and says so', async () => {
    await using admin = await startAdmin();
    await admin.ask(pinPath('redis:7'), { method: 'PUT' });
    for (const image of ['redis:8', 'redis', 'other.example/redis:7', 'Redis:7']) {
      const answer = await admin.ask(pinPath(image), { method: 'DELETE' });
      expect([answer.status, why(answer)]).toEqual([404, expect.stringContaining('nothing is pinned as')]);
    }
    expect(admin.pins()).toEqual(['docker.io/library/redis 7']);
  });

  test.each([
    ['gone.example', 'app'],
    ['registry.test:5000', 'secret/app'],
  ])('lets go of what may not be pulled any more, from %s', async (registry, path) => {
    await using admin = await startAdmin();
    admin.records.pin({ registry, path }, 'v1');
    expect((await admin.ask(pinPath(`${registry}/${path}:v1`), { method: 'DELETE' })).status).toBe(204);
    expect(admin.pins()).toEqual([]);
  });
});

test('any other method on a pin changes nothing: read, the path is that of an image with such a name', async () => {
  await using admin = await startAdmin();
  for (const method of ['GET', 'HEAD']) expect((await admin.ask(pinPath('redis'), { method })).status).toBe(404);
  for (const method of ['POST', 'PATCH']) {
    const answer = await admin.ask(pinPath('redis'), { method });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'DELETE, GET, HEAD, PUT']);
  }
  expect(admin.pins()).toEqual([]);
});

test('no way to write the path of a pin makes its end one of the image', async () => {
  const purged: unknown[] = [];
  const purge = {
    run: async (target: unknown) => {
      purged.push(target);
      return { images: [], imageCount: 1, blobs: 1, bytes: 1, pinned: [] };
    },
  };
  await using admin = await startAdmin({ purge });
  const deep = 'registry.test:5000/deep/er/app';
  for (const image of ['redis', 'redis:7', `redis@${digest}`, deep, `${deep}:v1`])
    for (const end of ['pin', 'p%69n', 'x/../pin', './pin', 'pin?x', 'pin#x', '%2e/pin'])
      await admin.statusOf(`DELETE /api/v1/images/${image}/${end} HTTP/1.1`, 'Host: localhost');
  expect(purged).toEqual([]);
});
