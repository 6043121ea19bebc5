// A fresh directory with configuration files in it, and what loading from there gives.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { type LoadOptions, loadConfig } from '../../src/config/load.ts';

/** Texts are written as they are, everything else as JSON. */
export function directoryWith(files: Readonly<Record<string, unknown>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'stillwater-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

/** Loads with this as config.json and nothing from the surroundings of the test. */
export function load(content: unknown, options: LoadOptions = {}) {
  return loadConfig({ cwd: directoryWith({ 'config.json': content }), env: {}, ...options });
}

/** The message of the ConfigError that the action throws. */
export function faultOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('no ConfigError came');
}
