// A file system of the test's own that can be small, full and read-only. Needs root.
import { statfsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export class ScratchDisk implements AsyncDisposable {
  readonly #dir: TempDir;

  private constructor(dir: TempDir) {
    this.#dir = dir;
  }

  /** In memory. */
  static async mount(bytes: number): Promise<ScratchDisk> {
    const disk = new ScratchDisk(await tempDir('disk'));
    await mkdir(disk.#root);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', disk.#root]);
    await mkdir(disk.path);
    return disk;
  }

  get #root(): string {
    return join(this.#dir.path, 'root');
  }

  /** A folder on it. */
  get path(): string {
    return join(this.#root, 'files');
  }

  /** Allocated bytes, in one look that no rename or unlink can slip through; unlinked files that are open count. */
  usedBytes(): number {
    const { blocks, bfree, bsize } = statfsSync(this.#root);
    return (blocks - bfree) * bsize;
  }

  /** Takes what is free, to the last page, until the returned function is called. */
  async fill(): Promise<() => Promise<void>> {
    const ballast = join(this.#root, 'ballast');
    const file = await open(ballast, 'w');
    try {
      // Large pieces first, then pages; others may take some of it meanwhile.
      for (const piece of [Buffer.alloc(1024 * 1024), Buffer.alloc(4096)]) await writeUntilFull(file, piece);
    } finally {
      await file.close();
    }
    return () => rm(ballast);
  }

  /**
   * From now on nothing can be created, renamed or removed below `path` (EROFS), until the returned function is called.
   * The kernel refuses to remount what is open for writing, so a read-only view is laid over it: files that are open
   * already can still be written.
   */
  async makeReadOnly(): Promise<() => Promise<void>> {
    await run('mount', ['--bind', this.path, this.path]);
    await run('mount', ['-o', 'remount,bind,ro', this.path]);
    return async () => {
      await run('umount', ['--lazy', this.path]);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['--lazy', this.#root]).catch(() => {});
    await this.#dir.remove();
  }
}

async function writeUntilFull(file: FileHandle, piece: Buffer): Promise<void> {
  for (;;) {
    const written = await file.write(piece).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOSPC') throw error;
    });
    if (!written || written.bytesWritten < piece.length) return;
  }
}
