// Finds the configuration file and reads it as a JSON object.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from './config-error.ts';
import { findJsonFault } from './json-position.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface ConfigFile {
  /** As the person named it, for messages. */
  readonly name: string;
  readonly content: JsonObject;
}

const DEFAULT_NAME = 'config.json';

/** The named file must exist; without a name `config.json` in `cwd` is read if it is there. */
export function readConfigFile(name: string | undefined, cwd: string): ConfigFile | undefined {
  const text = readText(name ?? DEFAULT_NAME, cwd, name === undefined);
  return text === undefined
    ? undefined
    : { name: name ?? DEFAULT_NAME, content: parseObject(text, name ?? DEFAULT_NAME) };
}

/** Plain words for why a file cannot be read. */
export function fileFault(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it';
  if (code === 'EISDIR') return 'it is a directory';
  return code ?? 'unknown reason';
}

function readText(name: string, cwd: string, isOptional: boolean): string | undefined {
  try {
    return readFileSync(resolve(cwd, name), 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (isOptional && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ConfigError(`cannot read the configuration file: ${name}: ${fileFault(error)}`, { cause: error });
  }
}

function parseObject(text: string, name: string): JsonObject {
  const fault = findJsonFault(text);
  if (fault) throw new ConfigError(`${name}:${fault.line}:${fault.column}: not JSON: expected ${fault.expected}`);
  const content: unknown = JSON.parse(text);
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return { ...content };
  throw new ConfigError(`${name}: the configuration must be a JSON object, such as {}`);
}
