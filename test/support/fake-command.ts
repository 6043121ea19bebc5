// Commands of a test's own: shell scripts in a folder that is first in this process's PATH, and a record of their runs.
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from './temp-dir.ts';

export type FakeCommands = AsyncDisposable & {
  readonly dir: string;
  /** Writes an executable script; its path comes back. Every run of it is recorded. */
  write(name: string, script: string): Promise<string>;
  /** Arguments and standard input of every run so far, oldest first. */
  runs(): Promise<string[]>;
};

export async function fakeCommands(): Promise<FakeCommands> {
  const { path: dir, remove } = await tempDir('commands');
  const record = join(dir, 'runs');
  await writeFile(record, '');
  const before = process.env.PATH;
  process.env.PATH = `${dir}:${before}`;
  return {
    dir,
    write: async (name, script) => {
      const path = join(dir, name);
      await writeFile(path, `#!/bin/sh\nprintf '%s\\n' "$* <$(cat)>" >> '${record}'\n${script}\n`);
      await chmod(path, 0o755);
      return path;
    },
    runs: async () => (await readFile(record, 'utf8')).split('\n').filter(Boolean),
    async [Symbol.asyncDispose]() {
      process.env.PATH = before;
      await remove();
    },
  };
}

/** A script that prints this text as it is. */
export function printing(text: string): string {
  return `cat <<'END_OF_TEXT'\n${text}\nEND_OF_TEXT`;
}
