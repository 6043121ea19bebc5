// A real distribution registry as the upstream, optionally behind the test's own token server.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { freePort } from './free-port.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';
import { type Pusher, TokenServer } from './token-server.ts';

export type RegistryOptions = {
  readonly tokenAuth?: boolean;
  /** The address of another registry: this one is then a pull-through cache of it, and takes no pushes. */
  readonly proxyOf?: string;
};

const pusher: Pusher = { username: 'builder', password: 'push-secret' };

export class DockerRegistry implements AsyncDisposable {
  readonly port: number;
  readonly tokens: TokenServer | undefined;
  readonly #dir: TempDir;
  readonly #proxyOf: string | undefined;
  #process: StartedProcess | undefined;

  private constructor(dir: TempDir, port: number, tokens: TokenServer | undefined, proxyOf: string | undefined) {
    this.#dir = dir;
    this.port = port;
    this.tokens = tokens;
    this.#proxyOf = proxyOf;
  }

  static async start({ tokenAuth = false, proxyOf }: RegistryOptions = {}): Promise<DockerRegistry> {
    const dir = await tempDir('registry');
    const tokens = tokenAuth ? await TokenServer.start(dir.path, pusher) : undefined;
    const registry = new DockerRegistry(dir, await freePort(), tokens, proxyOf);
    await writeFile(registry.#configFile, JSON.stringify(registry.#config()));
    await registry.reopen();
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** Copies with skopeo from another transport (`oci:DIR:TAG`) to `REPOSITORY:TAG` here. */
  async push(source: string, target: string, ...flags: string[]): Promise<void> {
    const login = this.tokens ? ['--dest-creds', `${pusher.username}:${pusher.password}`] : [];
    const trust = ['--insecure-policy', 'copy', '--dest-tls-verify=false'];
    await run('skopeo', [...trust, ...login, ...flags, source, `docker://${this.host}/${target}`]);
  }

  /** The outage: the process is killed, and its port refuses. */
  async close(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  /** Back on the same port with the same content. */
  async reopen(): Promise<void> {
    this.#process = new StartedProcess('docker-registry', 'docker-registry', ['serve', this.#configFile]);
    // 401 counts: it is what a registry with token auth says to a stranger.
    await this.#process.ready(async () => [200, 401].includes((await fetch(`${this.url}/v2/`)).status));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.tokens?.[Symbol.asyncDispose]();
    await this.#dir.remove();
  }

  get #configFile(): string {
    return join(this.#dir.path, 'registry.json');
  }

  /** JSON is YAML, which is what the registry reads. */
  #config(): object {
    return {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(this.#dir.path, 'data') } },
      http: { addr: this.host },
      ...(this.tokens && { auth: { token: this.tokens.registryConfig } }),
      ...(this.#proxyOf !== undefined && { proxy: { remoteurl: this.#proxyOf } }),
    };
  }
}
