// Upstream, mirror and nginx in a row, and clients on addresses of their own at either of the two doors.
import { chmod, writeFile } from 'node:fs/promises';
import { request as overHttp } from 'node:http';
import { type Agent, request as overHttps } from 'node:https';
import { join } from 'node:path';
import { hash } from '@node-rs/bcrypt';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { freePort } from './free-port.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { Nginx } from './nginx.ts';
import { tempDir } from './temp-dir.ts';
import { until } from './until.ts';

export const alice = { username: 'alice', password: 'alice-secret' };
const robot = { username: 'robot', password: 'robot-secret' };

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly isComplete: boolean;
  /** Of the client; the same for requests over one connection. */
  readonly port: number | undefined;
};

export type Asking = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client's own address: one of 127.0.0.0/8, of which the mirror believes 127.0.0.1 alone. */
  readonly from?: string;
  readonly agent?: Agent;
  readonly onData?: (bytes: number) => void;
};

/** `acme/open` is everybody's, `acme/app` alice's. */
export class NginxScene implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  readonly mirrorPort: number;
  readonly nginx: Nginx;
  readonly #opened: AsyncDisposableStack;

  private constructor(
    opened: AsyncDisposableStack,
    parts: Pick<NginxScene, 'upstream' | 'mirror' | 'mirrorPort' | 'nginx'>,
  ) {
    this.#opened = opened;
    this.upstream = parts.upstream;
    this.mirror = parts.mirror;
    this.mirrorPort = parts.mirrorPort;
    this.nginx = parts.nginx;
  }

  static async start(anonymous: 'pull' | 'none' = 'pull'): Promise<NginxScene> {
    await using opened = new AsyncDisposableStack();
    const dir = opened.use(await tempDir('behind-nginx'));
    await chmod(dir.path, 0o711);
    const [htpasswdFile, cacheDir] = [join(dir.path, 'htpasswd'), join(dir.path, 'cache')];
    await writeFile(htpasswdFile, `alice:${await hash(alice.password, 4)}\n`);
    const upstream = opened.use(await startFakeUpstream({ auth: { accounts: [robot] }, missing: 'unauthorized' }));
    upstream.makePrivate('acme/app', robot.username);
    const mirrorPort = await freePort();
    const rules = [{ effect: 'allow', principals: ['alice'], repositories: ['docker.io/acme/**'] }];
    const mirror = opened.use(
      await startMirror({
        cacheDir,
        upstreams: { 'docker.io': { endpoints: [upstream.url], credentials: robot } },
        config: {
          listen: { host: '127.0.0.1', port: mirrorPort, trustedProxies: ['127.0.0.1'], accel: '/stillwater-blobs/' },
          access: { anonymous, htpasswdFile, rules },
        },
      }),
    );
    const nginx = opened.use(await Nginx.start({ mirrorPort, blobs: join(cacheDir, 'v1', 'blobs') }));
    return new NginxScene(opened.move(), { upstream, mirror, mirrorPort, nginx });
  }

  /** Another nginx before the same mirror, whose location has this folder. */
  nginxWith(blobs: string): Promise<Nginx> {
    return Nginx.start({ mirrorPort: this.mirrorPort, blobs });
  }

  async ask(path: string, asking: Asking = {}, { port, authority } = this.nginx): Promise<Answer> {
    return answerOf(overHttps, { port, path, ca: await authority }, asking);
  }

  askDirectly(path: string, asking: Asking = {}): Promise<Answer> {
    return answerOf(overHttp, { port: this.mirrorPort, path }, asking);
  }

  get servedBytes(): Promise<number> {
    return this.mirror.metric('stillwater_served_bytes_total').then((bytes) => bytes ?? 0);
  }

  /** What the mirror logged of GETs of this path, once there are as many lines. */
  lines(path: string, count: number): Promise<Record<string, unknown>[]> {
    return until(`${count} lines about ${path}`, () => {
      const lines = this.mirror.logs.filter(
        ({ msg, method, url }) => msg === 'request' && method === 'GET' && url === path,
      );
      return lines.length >= count && lines;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

type Target = { readonly port: number; readonly path: string; readonly ca?: Buffer };

function answerOf(
  request: typeof overHttp | typeof overHttps,
  target: Target,
  { method = 'GET', headers = {}, from, agent, onData }: Asking,
): Promise<Answer> {
  const place = { host: '127.0.0.1', ...target, method, headers, agent: agent ?? false };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...place, ...(from !== undefined && { localAddress: from }) }, (response) => {
      const chunks: Buffer[] = [];
      const port = response.socket.localPort;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onData?.(chunk.length);
      });
      response.on('error', () => {});
      response.once('close', () => {
        const { statusCode: status = 0, headers: answered, complete: isComplete } = response;
        resolve({ status, headers: answered, body: Buffer.concat(chunks), isComplete, port });
      });
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}
