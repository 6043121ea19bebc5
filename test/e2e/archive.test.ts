// The air gap with real programs: what they save is pulled through a mirror without upstreams, what it exports they load.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { Containerd } from '../support/containerd.ts';
import { Dockerd } from '../support/dockerd.ts';
import { ImageLayout } from '../support/oci-images.ts';
import { OfflineMirror } from '../support/offline-mirror.ts';
import { writePolicy, writeRegistriesConf } from '../support/registries-conf.ts';
import { sha256 } from '../support/served-content.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { findTool, requireRoot, requireTools } from '../support/tool.ts';

const isPossible =
  requireTools('dockerd', 'docker', 'containerd', 'ctr', 'runc', 'podman', 'conmon', 'skopeo', 'busybox') &&
  requireRoot();

const greeting = 'hello over the air gap';
const multi = 'docker.io/library/multi:1';

describe.skipIf(!isPossible)('archives', { timeout: 180_000 }, () => {
  let dir: TempDir;
  let builder: Dockerd;
  let offline: OfflineMirror;
  /** Of hello:1 as the daemon that made it knows it. */
  let imageId: string;
  /** Of the index of multi:1. */
  let indexDigest: string;

  beforeAll(async () => {
    dir = await tempDir('archive');
    builder = await Dockerd.start({ mirrors: [] });
    imageId = await buildImage(builder, dir.path);
    await builder.docker('save', '-o', join(dir.path, 'saved.tar'), 'hello:1', 'hello:also');
    offline = await OfflineMirror.start();
    await offline.import(join(dir.path, 'saved.tar'));
    indexDigest = await saveMulti(dir.path);
    await offline.import(join(dir.path, 'multi.tar'));
  });

  afterAll(async () => {
    await builder?.[Symbol.asyncDispose]();
    await offline?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  const file = (name: string) => join(dir.path, name);
  const idOf = async (dockerd: Dockerd, image: string) =>
    (await dockerd.docker('inspect', '--format', '{{.Id}}', image)).trim();
  const skopeo = (...args: string[]) => run('skopeo', ['--insecure-policy', ...args]);

  describe('of docker save', () => {
    test('are pulled by another Docker with the same image ID, and run', async () => {
      await using dockerd = await Dockerd.start({ mirrors: [offline.mirror.url] });
      for (const name of ['hello:1', 'hello:also']) {
        await dockerd.docker('pull', name);
        expect(await idOf(dockerd, name)).toBe(imageId);
      }
      expect(await dockerd.printedBy('hello:1')).toBe(greeting);
    });

    test('are pulled by containerd', async () => {
      await using containerd = await Containerd.start();
      await containerd.setHosts('docker.io', `[host."${offline.mirror.url}"]\n  capabilities = ["pull", "resolve"]\n`);
      await containerd.pull('docker.io/library/hello:1');
      expect(await containerd.ctr('content', 'ls', '-q')).toContain(imageId);
    });

    test('are pulled by podman, and run', async () => {
      const podman = podmanIn(
        dir.path,
        'pull',
        await writeRegistriesConf(dir.path, offline.mirror.host, ['docker.io']),
      );
      await podman('pull', '--signature-policy', await writePolicy(dir.path), 'docker.io/library/hello:1');
      expect((await podman('inspect', '--format', '{{.Id}}', 'docker.io/library/hello:1')).trim()).toBe(
        imageId.slice(7),
      );
      const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
      const ran = await podman('run', '--rm', '--network', 'none', ...limits, 'docker.io/library/hello:1');
      expect(ran.trim()).toBe(greeting);
    });

    test('are loaded by another Docker once they were exported, with the same image ID', async () => {
      await offline.export(file('hello.tar'), ['hello:1', 'hello:also']);
      await using dockerd = await Dockerd.start({ mirrors: [] });
      expect(await dockerd.docker('load', '-i', file('hello.tar'))).toContain('hello:1');
      expect(await idOf(dockerd, 'hello:1')).toBe(imageId);
      expect(await idOf(dockerd, 'hello:also')).toBe(imageId);
      expect(await dockerd.printedBy('hello:1')).toBe(greeting);
    });

    test('are loaded by podman once they were exported', async () => {
      await offline.export(file('one.tar'), ['hello:1']);
      const podman = podmanIn(dir.path, 'load');
      await podman('load', '--signature-policy', await writePolicy(dir.path), '-i', file('one.tar'));
      expect((await podman('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.Id}}')).trim()).toBe(
        `docker.io/library/hello:1 ${imageId.slice(7)}`,
      );
    });
  });

  describe('of many platforms by skopeo', () => {
    test('are pulled by containerd, by tag and by digest', async () => {
      for (const reference of [multi, `docker.io/library/multi@${indexDigest}`]) {
        await using containerd = await Containerd.start();
        await containerd.setHosts(
          'docker.io',
          `[host."${offline.mirror.url}"]\n  capabilities = ["pull", "resolve"]\n`,
        );
        await containerd.pull(reference);
        expect(await containerd.ctr('images', 'ls')).toContain(indexDigest);
      }
    });

    test('are the same, byte for byte, when skopeo reads what was exported', async () => {
      await offline.export(file('all.tar'), [multi], 'all');
      for (const source of ['multi.tar', 'all.tar'])
        await skopeo('copy', '--all', `oci-archive:${file(source)}`, `dir:${file(`dir-of-${source}`)}`);
      expect(await digestsIn(file('dir-of-all.tar'))).toEqual(await digestsIn(file('dir-of-multi.tar')));
      expect((await digestsIn(file('dir-of-all.tar')))['manifest.json']).toBe(indexDigest);
    });

    test('are read by skopeo by tag where there are several, and as docker-archive', async () => {
      await offline.export(file('both.tar'), [multi, 'hello:also'], 'all');
      await skopeo('copy', '--all', `oci-archive:${file('both.tar')}:1`, `dir:${file('by-tag')}`);
      expect((await digestsIn(file('by-tag')))['manifest.json']).toBe(indexDigest);
      await skopeo('copy', `docker-archive:${file('both.tar')}:hello:also`, `dir:${file('as-docker')}`);
      const { config } = JSON.parse(await readFile(join(file('as-docker'), 'manifest.json'), 'utf8'));
      expect(config.digest).toBe(imageId);
    });

    test('are loaded by Docker, containerd, podman and skopeo where only one platform was exported', async () => {
      const here = [{ os: 'linux', architecture: 'amd64' }];
      await offline.export(file('sparse.tar'), [multi], here);
      await using dockerd = await Dockerd.start({ mirrors: [] });
      await dockerd.docker('load', '-i', file('sparse.tar'));
      expect(await dockerd.printedBy('multi:1')).toBe('hello from amd64');
      await using containerd = await Containerd.start();
      await containerd.ctr('images', 'import', '--snapshotter', 'native', file('sparse.tar'));
      expect(await containerd.ctr('images', 'ls')).toContain(`${multi} application/vnd.oci.image.index.v1+json`);
      expect(await containerd.ctr('images', 'ls')).toContain(indexDigest);
      await skopeo('copy', '--override-arch', 'amd64', `oci-archive:${file('sparse.tar')}`, `dir:${file('sparse')}`);
      const podman = podmanIn(dir.path, 'sparse');
      await podman('load', '--signature-policy', await writePolicy(dir.path), '-i', file('sparse.tar'));
      expect(await podman('images', '--format', '{{.Repository}}:{{.Tag}}')).toContain(multi);
    });
  });

  test('of containerd, which are image layouts and for docker load as well, keep their digests', async () => {
    await using containerd = await Containerd.start();
    await containerd.ctr('images', 'import', '--all-platforms', '--no-unpack', file('multi.tar')).catch(async () => {
      await containerd.ctr('images', 'import', '--all-platforms', '--snapshotter', 'native', file('multi.tar'));
    });
    await containerd.ctr('images', 'export', '--all-platforms', file('containerd.tar'), multi);
    expect(await run('tar', ['-tf', file('containerd.tar')])).toContain('manifest.json');
    await using other = await OfflineMirror.start();
    expect(await other.import(file('containerd.tar'))).toMatchObject([{ image: multi, digest: indexDigest }]);
  });

  test('of podman save are taken in, as it writes them for Docker and as image layouts', async () => {
    await offline.export(file('for-podman.tar'), ['hello:1']);
    const podman = podmanIn(dir.path, 'save');
    await podman('load', '--signature-policy', await writePolicy(dir.path), '-i', file('for-podman.tar'));
    for (const format of ['docker-archive', 'oci-archive']) {
      const saved = file(`podman-${format}.tar`);
      await podman('save', '--format', format, '-o', saved, 'docker.io/library/hello:1');
      await using other = await OfflineMirror.start();
      expect(await other.import(saved)).toMatchObject([{ image: 'docker.io/library/hello:1' }]);
      await using dockerd = await Dockerd.start({ mirrors: [other.mirror.url] });
      await dockerd.docker('pull', 'hello:1');
      expect(await idOf(dockerd, 'hello:1')).toBe(imageId);
    }
  });
});

/** Two layers, without a network and without a base image. Returns its ID. */
async function buildImage(dockerd: Dockerd, dir: string): Promise<string> {
  const root = join(dir, 'root');
  await mkdir(join(root, 'bin'), { recursive: true });
  await run('cp', [findTool('busybox') ?? '', join(root, 'bin', 'busybox')]);
  await run('tar', ['-c', '-f', join(dir, 'root.tar'), '-C', root, '.']);
  await dockerd.docker(
    'import',
    '--change',
    'CMD ["/bin/busybox", "cat", "/greeting"]',
    join(dir, 'root.tar'),
    'base:1',
  );
  await dockerd.docker('create', '--name', 'greeter', '--network', 'none', 'base:1');
  await writeFile(join(dir, 'greeting'), `${greeting}\n`);
  await dockerd.docker('cp', join(dir, 'greeting'), 'greeter:/greeting');
  await dockerd.docker('commit', 'greeter', 'hello:1');
  await dockerd.docker('tag', 'hello:1', 'hello:also');
  return (await dockerd.docker('inspect', '--format', '{{.Id}}', 'hello:1')).trim();
}

/** multi:1 for two platforms as skopeo saves it. Returns the digest of its index. */
async function saveMulti(dir: string): Promise<string> {
  const layout = await ImageLayout.create(join(dir, 'layout'));
  const { digest } = await layout.addIndex('multi', [
    { greeting: 'hello from arm64', architecture: 'arm64' },
    { greeting: 'hello from amd64', architecture: 'amd64' },
  ]);
  const target = `oci-archive:${join(dir, 'multi.tar')}:${multi}`;
  await run('skopeo', ['--insecure-policy', 'copy', '--all', layout.reference('multi'), target]);
  return digest;
}

function podmanIn(dir: string, store: string, registriesConf?: string): (...args: string[]) => Promise<string> {
  const place = ['--root', join(dir, `podman-${store}`), '--runroot', join(dir, `podman-${store}-run`)];
  const flags = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
  const env = registriesConf === undefined ? {} : { CONTAINERS_REGISTRIES_CONF: registriesConf };
  return (...args) => run('podman', [...place, ...flags, ...args], { env });
}

async function digestsIn(dir: string): Promise<Record<string, string>> {
  const files = (await readdir(dir)).sort();
  const digests = await Promise.all(
    files.map(async (name) => [name, sha256(await readFile(join(dir, name)))] as const),
  );
  return Object.fromEntries(digests);
}
