// All that doctor looks at, well unless a test says otherwise: mirror, admin listener, upstream, dockerd.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../../../src/cli/doctor/finding.ts';
import { defaultConfig } from '../../../src/config/load.ts';
import { directoryWith } from '../../config/config-files.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../../support/fake-upstream.ts';
import { RecordedServer } from '../../support/recorded-server.ts';
import { sendReply } from '../../support/reply.ts';
import { contentOf } from '../../support/served-content.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

export interface SceneOptions {
  readonly mirror?: FakeUpstreamOptions;
  readonly upstream?: FakeUpstreamOptions;
  /** Of docker.io. */
  readonly settings?: object;
  readonly config?: object;
}

export interface Told {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class DoctorScene implements AsyncDisposable {
  readonly mirror: FakeUpstream;
  readonly upstream: FakeUpstream;
  readonly admin: RecordedServer;
  readonly dir: TempDir;
  /** What `/readyz` says. */
  readiness = { status: 200, text: 'ready\n' };
  readonly #options: SceneOptions;

  private constructor(parts: Pick<DoctorScene, 'mirror' | 'upstream' | 'admin' | 'dir'>, options: SceneOptions) {
    this.mirror = parts.mirror;
    this.upstream = parts.upstream;
    this.admin = parts.admin;
    this.dir = parts.dir;
    this.#options = options;
  }

  static async start(options: SceneOptions = {}): Promise<DoctorScene> {
    const mirror = await startFakeUpstream(options.mirror);
    const upstream = await startFakeUpstream(options.upstream);
    const admin = await RecordedServer.start({
      kindOf: () => 'other',
      handle: (exchange) =>
        sendReply(exchange, { status: scene.readiness.status, content: contentOf(scene.readiness.text) }),
    });
    const scene: DoctorScene = new DoctorScene({ mirror, upstream, admin, dir: await tempDir('doctor') }, options);
    return scene;
  }

  get config(): object {
    const others = Object.keys(defaultConfig().upstreams).filter((name) => name !== 'docker.io');
    return {
      listen: { host: '127.0.0.1', port: Number(new URL(this.mirror.url).port) },
      admin: { port: this.admin.port },
      cache: { dir: join(this.dir.path, 'cache'), minFree: '1MiB' },
      upstreams: {
        ...Object.fromEntries(others.map((name) => [name, null])),
        'docker.io': { endpoints: [this.upstream.url], ...this.#options.settings },
      },
      ...this.#options.config,
    };
  }

  /** Runs the command to its end, in a process of its own. */
  async run(...argv: string[]): Promise<Told> {
    const cwd = directoryWith({ 'config.json': this.config });
    const env = { PATH: process.env.PATH, DOCKER_HOST: `unix://${this.socket}` };
    const child = spawn(process.execPath, [main, 'doctor', ...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if (child.exitCode === null) await once(child, 'exit');
    return { status: child.exitCode, stdout, stderr };
  }

  async findings(...argv: string[]): Promise<readonly Finding[]> {
    const { stdout, stderr } = await this.run('--json', ...argv);
    if (stdout === '') throw new Error(`doctor found nothing: ${stderr}`);
    return (JSON.parse(stdout) as { findings: Finding[] }).findings;
  }

  get socket(): string {
    return join(this.dir.path, 'docker.sock');
  }

  /** At the socket; without it there is no dockerd. */
  async startDockerd(info: object): Promise<Disposable> {
    const server = createServer((request, response) => {
      if (request.url === '/info') response.end(JSON.stringify(info));
      else response.writeHead(404).end();
    }).listen(this.socket);
    await once(server, 'listening');
    return { [Symbol.dispose]: () => server.close() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.mirror, this.upstream, this.admin, this.dir].map((part) => part[Symbol.asyncDispose]()));
  }
}
