// Both caches before the same upstream of files, near and fast or behind an uplink with a rate, and what nobody has seen yet.
import type { LoadRequest } from '../../test/support/load-exchange.ts';
import { LoadLink } from '../../test/support/load-link.ts';
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { accept, blobPath, manifestPath, type PeerImage, PeerOrigin } from '../../test/support/peer-origin.ts';
import { PeerRegistry } from '../../test/support/peer-registry.ts';
import { until } from '../../test/support/until.ts';
import type { Server } from './scene.ts';
import { fetchHash } from './warm.ts';

export type Uplink = { readonly origin: PeerOrigin; readonly registry: Server; readonly mirror: Server };

/** Without a rate the upstream is as fast as it can be. */
export async function openUplink(opened: AsyncDisposableStack, bytesPerSecond?: number): Promise<Uplink> {
  const origin = opened.use(await PeerOrigin.start());
  const link = bytesPerSecond === undefined ? origin : opened.use(await LoadLink.start(origin.port, bytesPerSecond));
  const registry = opened.use(await PeerRegistry.start(link.url));
  // Smaller than what the rounds bring, so that they do not fill the disk.
  const mirror = opened.use(await PeerMirror.start({ upstream: link.url, cache: { maxSize: '3GiB' } }));
  return {
    origin,
    registry: { name: 'docker-registry', port: registry.port, pids: [registry.pid] },
    mirror: { name: 'stillwater', port: mirror.port, pids: [mirror.pid] },
  };
}

/** The image's only layer, of which this server has the manifest alone. */
export async function coldLayer(server: Server, image: PeerImage): Promise<LoadRequest> {
  const [layer] = image.layers;
  if (layer === undefined) throw new Error(`${image.repository} has no layer`);
  await fetchHash(server, manifestPath(image, 'latest'));
  return { path: blobPath(image, layer), bytes: layer.size, headers: accept };
}

/** Committed, so that no work on it is left for what is measured next. */
export async function settled(server: Server, { path }: LoadRequest): Promise<void> {
  if (server.name !== 'stillwater') return;
  await until(`${path} is stored`, async () => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method: 'HEAD' });
    return !String(answer.headers.get('cache-status')).includes('fwd=');
  });
}

/** Hashed once: the path ends in the digest. */
export async function prove(server: Server, path: string): Promise<void> {
  const { sha256 } = await fetchHash(server, path);
  if (!path.endsWith(sha256)) throw new Error(`${server.name} gave wrong bytes: ${path}: ${sha256}`);
}
