// A directory of one's own under the system's temporary directory, gone at the end with whatever is mounted in it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type TempDir = AsyncDisposable & { readonly path: string; remove(): Promise<void> };

export async function tempDir(name: string): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), `stillwater-${name}-`));
  const remove = async () => {
    unmountUnder(path);
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  return { path, remove, [Symbol.asyncDispose]: remove };
}

/** Container daemons leave overlay, shm and namespace mounts behind; removing through one would reach into it. */
function unmountUnder(path: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((mount) => mount.startsWith(`${path}/`));
  for (const mount of mounts.reverse()) execFileSync('umount', ['--lazy', mount]);
}
