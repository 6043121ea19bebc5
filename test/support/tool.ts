// Finds the real programs that the end-to-end tests drive; in CI a missing one fails, elsewhere it is a named skip.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Daemons live in sbin, which the PATH of an npm script often lacks. */
export const toolPath = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'].join(':');

export function findTool(name: string): string | undefined {
  return toolPath
    .split(':')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

export function requireTool(name: string): boolean {
  if (findTool(name) !== undefined) return true;
  return absent(`${name} is not installed`);
}

export function requireTools(...names: string[]): boolean {
  return names.map(requireTool).every(Boolean);
}

/** Daemons that mount file systems need it. */
export function requireRoot(): boolean {
  return process.getuid?.() === 0 || absent('not running as root');
}

function absent(reason: string): false {
  if (process.env.CI === 'true') throw new Error(`end-to-end tests cannot run here: ${reason}`);
  process.stderr.write(`\n!!! SKIPPED end-to-end tests: ${reason}. CI=true makes this a failure. !!!\n\n`);
  return false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
