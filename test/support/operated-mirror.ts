// A mirror with three cached images, as those who operate it see it: its admin API and its commands.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Digest } from '../../src/oci/digest.ts';
import { Layout } from '../../src/store/layout.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';
import { until } from './until.ts';
import { pullWhole } from './whole-pull.ts';

export type Json = Record<string, unknown>;
export type Told = { readonly status: number; readonly json: Json; readonly text: string; readonly headers: Headers };
export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

export const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export class OperatedMirror implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  /** Where commands run. */
  readonly dir: TempDir;
  /** `library/app:latest`; `library/app:v1` shares a layer with it, `acme/one:latest` none. */
  readonly app: AddedImage;

  private constructor(parts: Pick<OperatedMirror, 'upstream' | 'mirror' | 'dir' | 'app'>) {
    this.upstream = parts.upstream;
    this.mirror = parts.mirror;
    this.dir = parts.dir;
    this.app = parts.app;
  }

  static async start(): Promise<OperatedMirror> {
    await using opened = new AsyncDisposableStack();
    const upstream = opened.use(await startFakeUpstream());
    const dir = opened.use(await tempDir('operated'));
    const cacheDir = join(dir.path, 'cache');
    const stray = strayOf(cacheDir);
    await mkdir(dirname(stray), { recursive: true });
    await writeFile(stray, '');
    const mirror = opened.use(await startMirror({ upstreams: { 'docker.io': upstream.url }, cacheDir }));
    const app = upstream.addImage('library/app', { layers: ['of app', 'shared'] });
    upstream.addImage('library/app', { tag: 'v1', layers: ['of v1', 'shared'] });
    upstream.addImage('acme/one', { layers: ['of one'] });
    const operated = new OperatedMirror({ upstream, mirror, dir, app });
    for (const image of ['library/app:latest', 'library/app:v1', 'acme/one:latest']) await operated.keep(image);
    opened.move();
    return operated;
  }

  /** Pulls it. The last byte goes out before a blob is proven and kept, which this waits for. */
  async keep(image: string): Promise<void> {
    await pullWhole(this.mirror.url, image);
    await until(`${image} is kept`, async () => {
      const { images } = (await this.api('GET', `/images/${image}`)).json as { images?: Json[] };
      // What is still proven counts as whole already.
      const { fills } = (await this.api('GET', '/fills')).json as { fills?: Json[] };
      return images?.[0]?.isComplete === true && fills?.length === 0;
    });
  }

  /** Whoever takes files away before it has brought disk and index together after its start may be overtaken by that. */
  async reconciled(): Promise<void> {
    await until('disk and index are one', () => !existsSync(strayOf(this.mirror.cacheDir)));
  }

  async api(method: string, path: string, init: RequestInit = {}): Promise<Told> {
    const answer = await fetch(`${this.mirror.adminUrl}/api/v1${path}`, { method, ...init });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type') === 'application/json' && text !== '';
    return { status: answer.status, json: isJson ? JSON.parse(text) : {}, text, headers: answer.headers };
  }

  /** With a body that nobody reads yet. */
  raw(method: string, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    const url = `${this.mirror.adminUrl}/api/v1${path}`;
    return new Promise((resolve, reject) => {
      request(url, { method, headers, agent: false }, resolve).on('error', reject).end();
    });
  }

  /** Flags for a command that asks this mirror. */
  get asked(): readonly string[] {
    return ['--admin', this.mirror.adminUrl];
  }

  run(args: readonly string[]): Promise<Said> {
    return said(new StartedProcess('stillwater', process.execPath, [main, ...args], { cwd: this.dir.path }));
  }

  /** Through a shell, for what only a shell can do to stdout: `"$NODE" "$SW" ls --admin "$ADMIN"`. */
  shell(line: string): Promise<Said> {
    const env = { NODE: process.execPath, SW: main, ADMIN: this.mirror.adminUrl };
    return said(new StartedProcess('sh', 'bash', ['-o', 'pipefail', '-c', line], { cwd: this.dir.path, env }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
    await this.dir.remove();
  }
}

/** In the folder that a mirror comes to last. */
function strayOf(cacheDir: string): string {
  return join(dirname(new Layout(cacheDir).blob(`sha512:${'f'.repeat(128)}` as Digest)), 'stray');
}

async function said(started: StartedProcess): Promise<Said> {
  const { code } = await started.exited;
  // Lines come a turn after the exit.
  await new Promise((resolve) => setImmediate(resolve));
  return { code, stdout: started.stdout.join('\n'), stderr: started.stderr.join('\n') };
}

export function linesOf(text: string): Json[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

export function jsonBody(value: unknown): RequestInit {
  return {
    body: typeof value === 'string' ? value : JSON.stringify(value),
    headers: { 'content-type': 'application/json' },
  };
}
