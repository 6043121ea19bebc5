// A containerd of the test's own, and `ctr` speaking to it.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export class Containerd implements AsyncDisposable {
  readonly dir: TempDir;
  readonly #process: StartedProcess;

  private constructor(dir: TempDir, started: StartedProcess) {
    this.dir = dir;
    this.#process = started;
  }

  static async start(): Promise<Containerd> {
    const dir = await tempDir('containerd');
    const configFile = join(dir.path, 'config.toml');
    await writeFile(configFile, config(dir.path));
    const started = new StartedProcess('containerd', 'containerd', ['--config', configFile]);
    const containerd = new Containerd(dir, started);
    await started.ready(() => containerd.ctr('version'));
    return containerd;
  }

  get address(): string {
    return join(this.dir.path, 'containerd.sock');
  }

  get #hostsDir(): string {
    return join(this.dir.path, 'hosts');
  }

  async ctr(...args: string[]): Promise<string> {
    return await run('ctr', ['--address', this.address, ...args]);
  }

  /** Writes `hosts.toml` for `registry`; `hosts` are the lines below `server`, tried in order. */
  async setHosts(registry: string, hosts: string): Promise<void> {
    await mkdir(join(this.#hostsDir, registry), { recursive: true });
    // A port that refuses: if the mirror fails, nothing else can make the pull succeed.
    await writeFile(join(this.#hostsDir, registry, 'hosts.toml'), `server = "http://127.0.0.1:9"\n${hosts}`);
  }

  async pull(reference: string): Promise<string> {
    const flags = ['--hosts-dir', this.#hostsDir, '--snapshotter', 'native', '--platform', 'linux/amd64'];
    return await this.ctr('images', 'pull', ...flags, reference);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await this.dir.remove();
  }
}

function config(dir: string): string {
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${dir}/containerd.sock"
`;
}
