// What `npm run bench` is asked to do.
import { parseArgs } from 'node:util';

export type Options = {
  readonly only: readonly string[];
  readonly rounds: number;
  /** A file, or `-` for stdout. */
  readonly json: string | undefined;
  /** In the full cache that a start is measured with. */
  readonly blobs: number;
};

export function readOptions(rows: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: '5' },
      json: { type: 'string' },
      blobs: { type: 'string', default: '100000' },
    },
  });
  // `--only ONE TWO` is what people write.
  const only = values.only.length > 0 ? [...values.only, ...positionals] : positionals;
  const unknown = only.filter((name) => !rows.includes(name));
  if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}; there are ${rows.join(', ')}`);
  return { only, rounds: count('rounds', values.rounds), json: values.json, blobs: count('blobs', values.blobs) };
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a whole number from 1: ${text}`);
  return value;
}
