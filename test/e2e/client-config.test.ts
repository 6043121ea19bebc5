// What client-config and doctor print, used as it is printed by the real clients.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { defaultConfig } from '../../src/config/load.ts';
import { run } from '../support/command.ts';
import { Containerd } from '../support/containerd.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { Dockerd } from '../support/dockerd.ts';
import { freePort } from '../support/free-port.ts';
import { ImageLayout } from '../support/oci-images.ts';
import { requireOwnAddress } from '../support/own-address.ts';
import { PullScene } from '../support/pull-scene.ts';
import { writePolicy } from '../support/registries-conf.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { until } from '../support/until.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const isPossible =
  requireTools('docker-registry', 'skopeo', 'busybox', 'openssl', 'containerd', 'ctr', 'dockerd', 'docker', 'podman') &&
  requireRoot();

// What is on loopback may be asked over HTTP without a word: elsewhere clients have to be told.
const address = requireOwnAddress() ?? '';

const hub = 'docker.io/library/hello:oci';
const other = 'ghcr.io/acme/tool:1';

describe.skipIf(!isPossible || address === '')('what is printed works as it is', { timeout: 120_000 }, () => {
  let scene: PullScene;
  let dir: TempDir;
  /** Of the mirror: host and port. */
  let host: string;
  /** Of the mirror, without the upstreams that are out of reach here. */
  let config: string;

  beforeAll(async () => {
    dir = await tempDir('client-config');
    const listen = { host: '0.0.0.0', port: await freePort() };
    host = `${address}:${listen.port}`;
    scene = await PullScene.start({ config: { listen } });
    config = join(dir.path, 'config.json');
    const own = JSON.parse(await readFile(scene.mirror.configFile, 'utf8'));
    const others = Object.keys(defaultConfig().upstreams).map((name) => [name, null]);
    const upstreams = { ...Object.fromEntries(others), ...own.upstreams };
    await writeFile(config, JSON.stringify({ ...own, upstreams }));
  });

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  const printed = (client: string) =>
    run(process.execPath, [main, 'client-config', client, '--config', config, '--mirror', `http://${host}`]);

  /** Blobs that the mirror has served for this registry. */
  async function served(registry: string): Promise<number> {
    const lines = (await scene.mirror.metrics())
      .split('\n')
      .filter((line) => line.startsWith('stillwater_requests_total'));
    const own = lines.filter((line) => line.includes('kind="blob"') && line.includes(`upstream="${registry}"`));
    return own.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async function pulledThrough(registry: string, pull: () => Promise<unknown>): Promise<void> {
    const before = await served(registry);
    await pull();
    expect(await served(registry)).toBeGreaterThan(before);
  }

  test('by dockerd, for Docker Hub', async () => {
    await using dockerd = await Dockerd.start({ mirrors: [], daemonJson: await printed('docker'), reachable: address });
    await pulledThrough('docker.io', () => dockerd.docker('pull', 'hello:oci'));
    // What the notes say of other registries.
    await pulledThrough('ghcr.io', () => dockerd.docker('pull', `${host}/${other}`));
  });

  test.each(['http://[fd00::1]:5000', 'https://mirror.example'])('by a dockerd that runs, for %s', async (mirror) => {
    await using dockerd = await Dockerd.start({ mirrors: [] });
    const folder = dirname(new URL(dockerd.host).pathname);
    const written = await run(process.execPath, [main, 'client-config', 'docker', '--mirror', mirror]);
    await writeFile(join(folder, 'daemon.json'), written);
    // As systemctl reload does.
    process.kill(Number(await readFile(join(folder, 'docker.pid'), 'utf8')), 'SIGHUP');
    const listed = () => dockerd.docker('info', '--format', '{{json .RegistryConfig.Mirrors}}');
    await until('the mirror is listed', async () => (await listed()).includes(`"${mirror}/"`));
  });

  test('by containerd, for every registry', async () => {
    await using containerd = await Containerd.start();
    const folder = join(containerd.dir.path, 'hosts', '_default');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'hosts.toml'), await printed('containerd'));
    await pulledThrough('docker.io', () => containerd.pull(hub));
    await pulledThrough('ghcr.io', () => containerd.pull(other));

    // A registry that the mirror does not serve is asked itself.
    await using registry = await DockerRegistry.start();
    const layout = await ImageLayout.create(join(dir.path, 'layout'));
    await layout.addImage('1', { greeting: 'hello from elsewhere' });
    await registry.push(layout.reference('1'), 'acme/elsewhere:1');
    await containerd.pull(`${registry.host}/acme/elsewhere:1`);
  });

  test('by podman and skopeo, for each upstream', async () => {
    const conf = join(dir.path, 'registries.conf');
    await writeFile(conf, await printed('podman'));
    const policy = await writePolicy(dir.path);
    const place = [
      '--root',
      join(dir.path, 'podman'),
      '--runroot',
      join(dir.path, 'podman-run'),
      '--storage-driver',
      'vfs',
    ];
    const env = { CONTAINERS_REGISTRIES_CONF: conf };
    for (const [registry, image] of [
      ['docker.io', hub],
      ['ghcr.io', other],
    ] as const) {
      await pulledThrough(registry, () =>
        run('podman', [...place, 'pull', '--signature-policy', policy, image], { env }),
      );
      const target = `dir:${join(dir.path, `copied-${registry}`)}`;
      const copy = ['--policy', policy, '--registries-conf', conf, 'copy', `docker://${image}`, target];
      await pulledThrough(registry, () => run('skopeo', copy));
    }
  });

  test('by the TOML parser of containerd, for BuildKit', async () => {
    const file = join(dir.path, 'buildkitd.toml');
    await writeFile(file, await printed('buildkit'));
    await run('containerd', ['--config', file, 'config', 'dump']);
    await writeFile(file, 'mirrors = [');
    await expect(run('containerd', ['--config', file, 'config', 'dump'])).rejects.toThrow('TOML');
  });

  describe('doctor', () => {
    async function marks(dockerHost: string): Promise<string[]> {
      const argv = [main, 'doctor', '--config', config, '--image', hub, '--json'];
      const { findings } = JSON.parse(await run(process.execPath, argv, { env: { DOCKER_HOST: dockerHost } }));
      return findings.map(({ check, mark }: Finding) => `${mark} ${check}`);
    }

    test('finds nothing where dockerd has what was printed', async () => {
      await using dockerd = await Dockerd.start({
        mirrors: [],
        daemonJson: await printed('docker'),
        reachable: address,
      });
      expect(await marks(dockerd.host)).toEqual([
        'ok mirror',
        'ok ready',
        'ok upstream docker.io',
        'ok upstream ghcr.io',
        'ok clock',
        'ok disk',
        'ok dockerd',
        'ok test pull',
      ]);
    });

    test('finds a dockerd that has no mirror', async () => {
      await using dockerd = await Dockerd.start({ mirrors: [] });
      expect((await marks(dockerd.host)).filter((line) => !line.startsWith('ok'))).toEqual(['warn dockerd']);
    });
  });
});
