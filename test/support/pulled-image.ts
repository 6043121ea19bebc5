// What every proof does before and after it asks for layers: the manifest first, and at the end a look at the disk.
import type { MirrorProcess } from './mirror-process.ts';
import { isCommitted, lyingFiles } from './stored-files.ts';
import { until } from './until.ts';
import type { ChildImage } from './upstream-process.ts';

/** Links the repository to its layers, as every real pull does before it asks for one; returns the layers' addresses. */
export async function pullManifest(mirror: MirrorProcess, image: ChildImage): Promise<string[]> {
  const answer = await fetch(`${mirror.url}/v2/${image.repository}/manifests/${image.tag}`);
  const body = await answer.text();
  if (!answer.ok || answer.headers.get('docker-content-digest') !== image.manifest)
    throw new Error(`the manifest of ${image.repository}:${image.tag} did not come: ${answer.status} ${body}`);
  return image.layers.map(({ digest }) => `${mirror.url}/v2/${image.repository}/blobs/${digest}`);
}

/** Clients have the last byte once it is verified; the disk has the blob a little later, and only the disk can tell. */
export async function committed(mirror: MirrorProcess, digest: string, timeoutMs = 30_000): Promise<void> {
  await until(`${digest} is committed`, () => isCommitted(mirror.cacheDir, digest), { timeoutMs });
  const lying = await lyingFiles(mirror.cacheDir);
  if (lying.length > 0) throw new Error(`stored files are not what their names say: ${lying.join(', ')}`);
}
