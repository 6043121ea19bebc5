// Row: hits over TLS, by the mirror itself, by nginx with files, and by nginx in front of the mirror as examples/nginx has it.
import { chmod, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Authority, type Certificate } from '../../test/support/authority.ts';
import { freePort } from '../../test/support/free-port.ts';
import { Nginx } from '../../test/support/nginx.ts';
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { PeerNginx } from '../../test/support/peer-nginx.ts';
import { tempDir } from '../../test/support/temp-dir.ts';
import type { Case, Section } from './report.ts';
import { medianOf } from './report.ts';
import { type Scene, type Server, writeFiles } from './scene.ts';
import { loadFor, takeTurns } from './turns.ts';
import { warm } from './warm.ts';

const loads = [
  { thing: 'by digest', connections: 32, unit: '/s' },
  { thing: '1 MiB', connections: 64, unit: '/s' },
  { thing: '256 MiB', connections: 4, unit: 'GB/s' },
] as const;

export async function tls(scene: Scene): Promise<Section> {
  await using opened = new AsyncDisposableStack();
  const dir = opened.use(await tempDir('peer-tls'));
  const certificate = await (await Authority.create(join(dir.path, 'authority'))).issue('mirror', ['127.0.0.1']);
  const nginx = await startNginx(scene, certificate, opened);
  const own = opened.use(await PeerMirror.start({ upstream: scene.originUrl, listen: { tls: certificate } }));
  const mirror = { name: 'stillwater', port: own.port, tls: true, pids: [own.pid] };
  const servers = [nginx, mirror, await startFront(scene, opened)];
  for (const server of servers) await warm(server, scene.content.files);
  const cases: Case[] = [];
  for (const { thing, connections, unit } of loads) {
    const requests = [scene.content.request(thing)];
    const name = `TLS, ${thing === 'by digest' ? 'manifests by digest' : `hits of ${thing}`}, ${connections} clients`;
    cases.push(
      await takeTurns(scene, { name, unit, servers }, (server) =>
        loadFor(scene, server, { requests, connections, unit }),
      ),
    );
  }
  const promises = cases.flatMap((one) =>
    servers.slice(1).map(({ name }) => ({
      name: `${name} / nginx, ${one.name}`,
      value: medianOf(one, name) / medianOf(one, nginx.name),
    })),
  );
  return { row: 'tls', cases, promises };
}

async function startNginx(
  scene: Scene,
  { certFile, keyFile }: Certificate,
  opened: AsyncDisposableStack,
): Promise<Server> {
  const port = await freePort();
  const nginx = opened.use(
    await PeerNginx.start(
      (root) =>
        `server { listen 127.0.0.1:${port} ssl; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; root ${root}; }`,
      // Whether it listens is seen when the files are proven.
      async () => true,
    ),
  );
  await writeFiles(nginx.root, scene.content.files);
  return { name: 'nginx', port, tls: true, pids: [nginx.pid] };
}

async function startFront(scene: Scene, opened: AsyncDisposableStack): Promise<Server> {
  const listen = { trustedProxies: ['127.0.0.1'], accel: '/stillwater-blobs/' };
  const behind = opened.use(await PeerMirror.start({ upstream: scene.originUrl, listen }));
  // The workers of nginx are somebody else.
  await chmod(dirname(behind.cacheDir), 0o711);
  const nginx = opened.use(await Nginx.start({ mirrorPort: behind.port, blobs: join(behind.cacheDir, 'v1', 'blobs') }));
  const pid = Number(await readFile(join(dirname(nginx.certsDir), 'pid'), 'utf8'));
  return { name: 'nginx before stillwater', port: nginx.port, tls: true, pids: [pid, behind.pid] };
}
