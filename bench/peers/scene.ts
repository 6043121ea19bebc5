// The servers with the same bytes in them: files behind nginx, and two pull-through caches of one registry.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DockerRegistry } from '../../test/support/docker-registry.ts';
import { freePort } from '../../test/support/free-port.ts';
import { LoadClient } from '../../test/support/load-client.ts';
import type { Target } from '../../test/support/load-exchange.ts';
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { PeerNginx } from '../../test/support/peer-nginx.ts';
import { PeerRegistry } from '../../test/support/peer-registry.ts';
import { progress } from '../table.ts';
import { Content } from './content.ts';
import { warm } from './warm.ts';

export type Server = Target & { readonly name: string; readonly pids: readonly number[] };
export type Bench = { readonly rounds: number; readonly signal: AbortSignal; readonly blobs: number };

export type Scene = Bench & {
  readonly client: LoadClient;
  readonly content: Content;
  readonly originUrl: string;
  readonly nginx: Server;
  /** The same process; it writes a line a request, as the mirror does. */
  readonly nginxLogging: Server;
  readonly registry: Server;
  readonly mirror: Server;
};

export async function openScene(bench: Bench, opened: AsyncDisposableStack): Promise<Scene> {
  progress('starting nginx, docker-registry and stillwater on the same files');
  const content = new Content();
  const origin = opened.use(await DockerRegistry.start());
  await content.push(origin.url);
  const [nginx, nginxLogging] = await startNginx(content, opened);
  const proxy = opened.use(await PeerRegistry.start(origin.url));
  const mirrored = opened.use(await PeerMirror.start({ upstream: origin.url }));
  const registry = { name: 'docker-registry', port: proxy.port, pids: [proxy.pid] };
  const mirror = { name: 'stillwater', port: mirrored.port, pids: [mirrored.pid] };
  for (const server of [nginx, registry, mirror]) await warm(server, content.files);
  const client = opened.use(new LoadClient(bench.signal));
  return { ...bench, client, content, originUrl: origin.url, nginx, nginxLogging, registry, mirror };
}

async function startNginx({ files }: Content, opened: AsyncDisposableStack): Promise<[Server, Server]> {
  const [port, loggingPort] = [await freePort(), await freePort()];
  const started = await PeerNginx.start(
    (root) =>
      `server { listen 127.0.0.1:${port}; root ${root}; }
       server { listen 127.0.0.1:${loggingPort}; root ${root}; access_log ${dirname(root)}/access.log combined buffer=64k; }`,
    async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0,
  );
  const nginx = opened.use(started);
  await writeFiles(nginx.root, files);
  return [
    { name: 'nginx', port, pids: [nginx.pid] },
    { name: 'nginx, access log', port: loggingPort, pids: [nginx.pid] },
  ];
}

export async function writeFiles(root: string, files: Content['files']): Promise<void> {
  for (const [path, bytes] of files) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
}
