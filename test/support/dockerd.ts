// A Docker Engine of the test's own, and the docker client speaking to it.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { Containerd } from './containerd.ts';
import { basic } from './fake-token-server.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export type DockerdOptions = {
  /** Addresses for --registry-mirror, in order. */
  readonly mirrors: readonly string[];
  /** `vfs` if not given: it works on every file system, and copies a layer for each one above it. */
  readonly storageDriver?: 'vfs' | 'overlay2';
  /** A login to Docker Hub in the client's configuration. */
  readonly hubLogin?: { readonly username: string; readonly password: string };
  /** An address besides loopback that is in reach. */
  readonly reachable?: string;
  /** The whole of daemon.json. */
  readonly daemonJson?: string;
};

export class Dockerd implements AsyncDisposable {
  readonly #dir: TempDir;
  readonly #containerd: Containerd;
  readonly #process: StartedProcess;

  private constructor(dir: TempDir, containerd: Containerd, started: StartedProcess) {
    this.#dir = dir;
    this.#containerd = containerd;
    this.#process = started;
  }

  static async start(options: DockerdOptions): Promise<Dockerd> {
    const { mirrors, hubLogin, storageDriver = 'vfs', reachable = '', daemonJson = '{}' } = options;
    const dir = await tempDir('dockerd');
    await writeClientConfig(dir.path, hubLogin);
    await writeFile(join(dir.path, 'daemon.json'), daemonJson);
    // Its own containerd: on a machine where the system's runs, dockerd would leave images in that one.
    const containerd = await Containerd.start();
    const args = [...flags(dir.path, containerd.address, mirrors), '--storage-driver', storageDriver];
    const started = new StartedProcess('dockerd', 'dockerd', args, {
      // Hub itself is out of reach, so that its answer can never stand in for the mirror's.
      env: { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: '', NO_PROXY: `127.0.0.1,localhost,${reachable}` },
    });
    const dockerd = new Dockerd(dir, containerd, started);
    await started.ready(() => dockerd.docker('version'), 60_000);
    return dockerd;
  }

  /** As DOCKER_HOST has it. */
  get host(): string {
    return `unix://${this.#dir.path}/docker.sock`;
  }

  async docker(...args: string[]): Promise<string> {
    return await run('docker', ['--config', join(this.#dir.path, 'client'), '-H', this.host, ...args]);
  }

  /** Removes the image and every layer that nothing else uses. */
  async forget(...references: string[]): Promise<void> {
    await this.docker('rmi', '--force', ...references);
  }

  /** Runs the image without a network and returns what it printed. */
  async printedBy(reference: string): Promise<string> {
    return (await this.docker('run', '--rm', '--network', 'none', '--pull', 'never', reference)).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await this.#containerd[Symbol.asyncDispose]();
    await this.#dir.remove();
  }
}

async function writeClientConfig(dir: string, login: DockerdOptions['hubLogin']): Promise<void> {
  const auth = login && basic(login.username, login.password).replace('Basic ', '');
  const config = login ? { auths: { 'https://index.docker.io/v1/': { auth } } } : {};
  await mkdir(join(dir, 'client'));
  await writeFile(join(dir, 'client', 'config.json'), JSON.stringify(config));
}

function flags(dir: string, containerdAddress: string, mirrors: readonly string[]): string[] {
  return [
    ...['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/docker.pid`],
    ...['--host', `unix://${dir}/docker.sock`, '--containerd', containerdAddress],
    // No bridge and no iptables leave the host's network alone.
    ...['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--bridge', 'none'],
    ...['--config-file', `${dir}/daemon.json`],
    ...mirrors.flatMap((mirror) => ['--registry-mirror', mirror]),
  ];
}
