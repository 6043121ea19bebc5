// Small files that must never be seen half written: replaced whole, their owner and permissions kept.
import { randomUUID } from 'node:crypto';
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes the file, readable by this user alone, if it is not there. */
export async function replaceFile(path: string, text: string): Promise<void> {
  // A link stays one: what it leads to is replaced.
  const target = await realpath(path).catch(() => path);
  const before = await stat(target).catch(() => undefined);
  const draft = `${target}.${randomUUID()}.new`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      if (before) {
        await file.chown(before.uid, before.gid);
        await file.chmod(before.mode & 0o777);
      }
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  const directory = await open(dirname(target), 'r');
  await directory.sync().finally(() => directory.close());
}

/** `edit` gets `undefined` for a file that is not there yet, and is asked again when somebody else was faster. */
export async function editFile(path: string, edit: (text: string | undefined) => string): Promise<void> {
  for (;;) {
    const before = await readIfThere(path);
    const after = edit(before);
    if ((await readIfThere(path)) === before) return replaceFile(path, after);
  }
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
