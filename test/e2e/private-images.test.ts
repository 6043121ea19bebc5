// Real clients pull a private image through the mirror, each by the one way it has to be known, and do not without it.
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { run } from '../support/command.ts';
import { Containerd } from '../support/containerd.ts';
import { Dockerd } from '../support/dockerd.ts';
import { basic } from '../support/fake-token-server.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { requireOwnAddress } from '../support/own-address.ts';
import { alice, PrivateImageScene } from '../support/private-image-scene.ts';
import { writePolicy, writeRegistriesConf } from '../support/registries-conf.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { addUnpackable } from '../support/unpackable-image.ts';

const address = requireOwnAddress();
const hasDockerd = requireTools('dockerd', 'docker', 'containerd', 'runc', 'openssl') && requireRoot();

describe.skipIf(!hasDockerd || !address)('dockerd with a client certificate', { timeout: 120_000 }, () => {
  let scene: PrivateImageScene;
  let next: FakeUpstream;
  let dockerd: Dockerd;
  let certificates: Readonly<Record<'builder' | 'stranger' | 'forged', { certFile: string; keyFile: string }>>;
  let host: string;
  let certsDir: string;

  beforeAll(async () => {
    let authorityFile = '';
    scene = await PrivateImageScene.start({
      env: async (dir) => {
        const authority = await Authority.create(join(dir, 'ours'));
        const others = await Authority.create(join(dir, 'theirs'));
        const server = await authority.issue('mirror', [address ?? '']);
        authorityFile = authority.certFile;
        certificates = {
          builder: await authority.issue('builder'),
          stranger: await authority.issue('stranger'),
          forged: await others.issue('builder'),
        };
        return {
          STILLWATER_LISTEN__HOST: '0.0.0.0',
          STILLWATER_LISTEN__TLS__CERT_FILE: server.certFile,
          STILLWATER_LISTEN__TLS__KEY_FILE: server.keyFile,
          STILLWATER_LISTEN__TLS__CLIENT_CA_FILE: authorityFile,
        };
      },
    });
    next = await startFakeUpstream();
    await addUnpackable(next, { repository: 'acme/app', seed: 700 });
    host = `${address}:${scene.mirror.port}`;
    // Where dockerd looks, for every daemon of the machine; the port is this test's own.
    certsDir = join('/etc/docker/certs.d', host);
    await mkdir(certsDir, { recursive: true });
    await cp(authorityFile, join(certsDir, 'ca.crt'));
    dockerd = await Dockerd.start({ mirrors: [`https://${host}`, next.url], reachable: address ?? '' });
  });

  afterAll(async () => {
    await dockerd?.[Symbol.asyncDispose]();
    if (certsDir) await rm(certsDir, { recursive: true });
    await next?.[Symbol.asyncDispose]();
    await scene?.[Symbol.asyncDispose]();
  });

  /** Pulls with this certificate, into an empty store; returns what the mirror said and how often the next was asked. */
  async function pullAs(who: keyof typeof certificates | 'nobody') {
    for (const name of ['client.cert', 'client.key']) await rm(join(certsDir, name), { force: true });
    if (who !== 'nobody') {
      await cp(certificates[who].certFile, join(certsDir, 'client.cert'));
      await cp(certificates[who].keyFile, join(certsDir, 'client.key'));
    }
    const [answered, asked] = [scene.answered, next.requests.length];
    await dockerd.docker('pull', '--quiet', 'acme/app:latest');
    expect(await dockerd.docker('images', '--quiet', 'acme/app:latest')).toMatch(/^[0-9a-f]{12}/);
    await dockerd.forget('acme/app:latest');
    return { statuses: scene.statuses(answered), next: next.requests.length - asked };
  }

  test('pulls as the common name of its certificate', async () => {
    expect(await pullAs('builder')).toEqual({ statuses: [200], next: 0 });
  });

  test.each(['nobody', 'stranger', 'forged'] as const)('pulls from its next mirror as %s', async (who) => {
    await pullAs('builder');
    const told = await pullAs(who);
    expect(told.statuses).toEqual([404]);
    expect(told.next).toBeGreaterThan(0);
  });
});

describe.skipIf(!hasDockerd)('docker login at the mirror itself', { timeout: 120_000 }, () => {
  test('pulls by the name of the mirror with it, and not without', async () => {
    await using scene = await PrivateImageScene.start({ anonymous: 'none' });
    await using dockerd = await Dockerd.start({ mirrors: [] });
    const image = `${scene.front.host}/docker.io/acme/app:latest`;
    await expect(dockerd.docker('pull', '--quiet', image)).rejects.toThrow();
    await expect(
      dockerd.docker('login', '--username', 'alice', '--password', 'a guess', scene.front.host),
    ).rejects.toThrow();
    await dockerd.docker('login', '--username', alice.username, '--password', alice.password, scene.front.host);
    await dockerd.docker('pull', '--quiet', image);
    expect(await dockerd.docker('images', '--quiet', image)).toMatch(/^[0-9a-f]{12}/);
  });
});

const hasContainerd = requireTools('containerd', 'ctr') && requireRoot();

describe.skipIf(!hasContainerd)('containerd with a header in hosts.toml', { timeout: 120_000 }, () => {
  let scene: PrivateImageScene;

  beforeAll(async () => {
    scene = await PrivateImageScene.start();
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  async function pull(authorization?: string): Promise<string> {
    await using containerd = await Containerd.start();
    const hosts = `[host."${scene.front.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    const header = `  [host."${scene.front.url}".header]\n    Authorization = "${authorization}"\n`;
    await containerd.setHosts('docker.io', authorization === undefined ? hosts : `${hosts}${header}`);
    await containerd.pull('docker.io/acme/app:latest');
    return await containerd.ctr('images', 'ls', '--quiet');
  }

  const statuses = () => [...new Set(scene.front.requests.map(({ status }) => status))];

  test('pulls with it', async () => {
    scene.front.forget();
    expect(await pull(basic(alice.username, alice.password))).toContain('docker.io/acme/app:latest');
    expect(statuses()).toEqual([200]);
  });

  test.each([undefined, basic(alice.username, 'a guess')])(
    'gets 404 and goes on to its next host with %s',
    async (shown) => {
      scene.front.forget();
      // The next host is one that refuses connections.
      await expect(pull(shown)).rejects.toThrow(/127\.0\.0\.1:9/);
      expect(statuses()).toEqual([404]);
    },
  );
});

describe.skipIf(!requireTools('podman') || !requireRoot())('podman login', { timeout: 120_000 }, () => {
  let scene: PrivateImageScene;

  beforeAll(async () => {
    scene = await PrivateImageScene.start({ anonymous: 'none' });
    await writeRegistriesConf(scene.dir.path, scene.front.host, ['docker.io']);
    await writePolicy(scene.dir.path);
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  /** Each store starts empty, and each has logins of its own. */
  async function freshPodman(store: string) {
    const at = (name: string) => join(scene.dir.path, name);
    const place = ['--root', at(store), '--runroot', at(`${store}-run`), '--storage-driver', 'vfs'];
    const env = { CONTAINERS_REGISTRIES_CONF: at('registries.conf'), REGISTRY_AUTH_FILE: at(`${store}.json`) };
    await writeFile(env.REGISTRY_AUTH_FILE, '{}');
    const podman = (...args: string[]) => run('podman', [...place, '--cgroup-manager', 'cgroupfs', ...args], { env });
    return {
      login: (password: string) =>
        podman('login', '--tls-verify=false', '--username', alice.username, '--password', password, scene.front.host),
      pull: (image: string) => podman('pull', '--quiet', '--signature-policy', at('policy.json'), image),
      images: () => podman('images', '--quiet'),
    };
  }

  test('pulls with it, by a token', async () => {
    const { login, pull, images } = await freshPodman('known');
    await login(alice.password);
    scene.front.forget();
    await pull('docker.io/acme/app:latest');
    expect(await images()).toMatch(/^[0-9a-f]{12}/);
    expect(scene.front.lines.filter((line) => line.startsWith('GET /token'))).not.toEqual([]);
  });

  test.each(['app', 'open'])('is refused acme/%s without it', async (name) => {
    scene.front.forget();
    const { pull } = await freshPodman(name);
    await expect(pull(`docker.io/acme/${name}:latest`)).rejects.toThrow(/unauthorized/);
    expect(scene.front.requests.length).toBeGreaterThan(0);
    expect([...new Set(scene.front.requests.map(({ status }) => status))]).toEqual([401]);
  });

  test('says so when the password is wrong', async () => {
    const { login } = await freshPodman('guesser');
    await expect(login('a guess')).rejects.toThrow(/invalid username\/password|unauthorized/i);
  });
});
