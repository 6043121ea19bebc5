// A real Docker Engine whose user is logged in at Docker Hub: what becomes of that password at a mirror with rights of its own.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Dockerd } from '../support/dockerd.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { PrivateImageScene } from '../support/private-image-scene.ts';
import { holdsSecret } from '../support/secret-forms.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { addUnpackable } from '../support/unpackable-image.ts';

const hubLogin = { username: 'hub-user', password: 'hub-s3cret/+&=of-the-user' };
const isPossible = requireTools('dockerd', 'docker', 'containerd', 'runc') && requireRoot();

describe.skipIf(!isPossible)('a login to Docker Hub', { timeout: 120_000 }, () => {
  /** Whatever the mirror was shown, in every header of every request. */
  const heard = ({ front }: PrivateImageScene) =>
    front.requests.map(({ headers }) => JSON.stringify(headers)).join('\n');

  /** Whatever the mirror let out: to its log, its disk, and every socket of its upstream. */
  async function letOut({ mirror, upstream }: PrivateImageScene): Promise<string> {
    const servers = [upstream.server, upstream.tokens?.server, upstream.cdn];
    const onward = servers.flatMap((server) => server?.requests ?? []);
    const said = onward.map(({ path, rawHeaders }) => `${path} ${rawHeaders.join(' ')}`);
    return [...mirror.output, ...said, await mirror.metrics(), await filesBelow(mirror.cacheDir)].join('\n');
  }

  test('is never shown to a mirror that serves anybody, be the image public, private or missing', async () => {
    await using scene = await PrivateImageScene.start();
    await using next = await startFakeUpstream();
    await addUnpackable(next, { repository: 'acme/app', seed: 702 });
    await using dockerd = await Dockerd.start({ mirrors: [scene.front.url, next.url], hubLogin });
    await dockerd.docker('pull', '--quiet', 'acme/open:latest');
    // What the mirror does not give, its user still gets from the next.
    await dockerd.docker('pull', '--quiet', 'acme/app:latest');
    expect(next.count({ path: '/v2/acme/app/manifests/latest' })).toBeGreaterThan(0);
    await expect(dockerd.docker('pull', '--quiet', 'acme/missing:latest')).rejects.toThrow();

    const { requests, lines } = scene.front;
    expect(lines).toContain('HEAD /v2/acme/open/manifests/latest');
    expect(requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(holdsSecret(heard(scene), hubLogin.password)).toBe(false);
    const ofPrivate = requests.filter(({ path }) => path.includes('/acme/app/')).map(({ status }) => status);
    expect([...new Set(ofPrivate)]).toEqual([404]);
    expect(requests.filter(({ status }) => status === 401)).toEqual([]);
  });

  test('is shown to a mirror that asks for credentials, and goes no further', async () => {
    await using scene = await PrivateImageScene.start({ anonymous: 'none' });
    await using dockerd = await Dockerd.start({ mirrors: [scene.front.url], hubLogin });
    for (const image of ['acme/open:latest', 'acme/app:latest'])
      await expect(dockerd.docker('pull', '--quiet', image)).rejects.toThrow();
    // The other half of the warning in the contract: this is why nothing is asked by default.
    expect(holdsSecret(heard(scene), hubLogin.password)).toBe(true);
    expect(scene.front.requests.filter(({ status }) => status === 200)).toEqual([]);
    expect(holdsSecret(await letOut(scene), hubLogin.password)).toBe(false);
  });
});

async function filesBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n');
}
