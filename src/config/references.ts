// ${env:NAME} and ${file:PATH} in the texts of a configuration; $${env:NAME} stays as ${env:NAME}.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileFault } from './file.ts';

const REFERENCE = /(\$?)\$\{(env|file):([^}]*)\}/g;

export interface ReferenceSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

export interface Expanded {
  readonly text: string;
  readonly problems: readonly string[];
}

export function hasReference(text: string): boolean {
  return text.search(REFERENCE) !== -1;
}

/** What comes in is never expanded again, so that a password may hold any character. */
export function expandReferences(text: string, { env, cwd }: ReferenceSources): Expanded {
  const problems: string[] = [];
  const expanded = text.replace(REFERENCE, (whole: string, dollar: string, kind: string, name: string) => {
    if (dollar !== '') return whole.slice(1);
    if (kind === 'file') return readReference(name, cwd, problems);
    const value = env[name];
    if (value === undefined) problems.push(`the environment variable ${name} is not set`);
    return value ?? '';
  });
  return { text: expanded, problems };
}

function readReference(name: string, cwd: string, problems: string[]): string {
  try {
    return readFileSync(resolve(cwd, name), 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`cannot read the file ${name}: ${fileFault(error)}`);
    return '';
  }
}
