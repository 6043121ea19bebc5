// The files of users and tokens that the commands change: which one is meant, and in plain words why it could not be.
import { editFile, readIfThere } from '../access/edit-file.ts';
import { ConfigError } from '../config/config-error.ts';
import { loadConfig } from '../config/load.ts';

export interface FileFlags {
  readonly config?: string;
  readonly file?: string;
}

export const fileOptions = [
  ['--file <file>', 'the file to work on (default: the one that the configuration names)'],
  ['--config <file>', 'the configuration (default: STILLWATER_CONFIG, else ./config.json if it exists)'],
] as const;

export function accessFile({ config, file }: FileFlags, key: 'htpasswdFile' | 'tokensFile'): string {
  if (file !== undefined) return file;
  const named = loadConfig({ file: config }).config.access[key];
  if (named !== undefined) return named;
  throw new ConfigError(`access.${key} is not set: no file to work on; set it, or name a file with --file`);
}

/** Throws for a file that is not there. */
export async function readAccessFile(file: string): Promise<string> {
  const text = await readIfThere(file).catch((cause) => {
    throw new Error(`cannot read ${file}: ${faultOf(cause)}`, { cause });
  });
  if (text === undefined) throw new Error(`cannot read ${file}: there is no such file`);
  return text;
}

/** `edit` gets "" for a file that is not there yet; what it throws is thrown with the file's name. */
export async function editAccessFile(file: string, edit: (text: string) => string): Promise<void> {
  try {
    await editFile(file, (text) => edit(text ?? ''));
  } catch (cause) {
    throw new Error(`cannot change ${file}: ${faultOf(cause)}`, { cause });
  }
}

function faultOf(error: unknown): string {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'its directory does not exist; make it first';
  if (code === 'EPERM' && syscall === 'fchown') return 'it is somebody else’s; run this as its owner';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission; run this as its owner';
  if (code === 'EISDIR') return 'it is a directory';
  return code ?? message;
}
