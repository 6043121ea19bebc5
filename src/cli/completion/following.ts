// What of a command line a completion script looks at, the same in every shell: where it is, and what takes a value.
import type { TableCommand, Values } from './command-table.ts';

/** Each `PATH WORD` by which a word leads to another command. */
export function stepsOf(table: readonly TableCommand[]): readonly string[] {
  return table.flatMap(({ path, subcommands }) => subcommands.map(({ name }) => `${path} ${name}`));
}

/** Each `PATH --option` that takes a value, by what it takes. */
export function valuesOf(table: readonly TableCommand[]): ReadonlyMap<Values, readonly string[]> {
  const found = new Map<string, { readonly values: Values; readonly after: string[] }>();
  for (const { path, options } of table) {
    for (const { names, values } of options) {
      if (values === undefined) continue;
      const key = String(values);
      const entry = found.get(key) ?? { values, after: [] };
      entry.after.push(...names.map((name) => `${path} ${name}`));
      found.set(key, entry);
    }
  }
  return new Map([...found.values()].map(({ values, after }) => [values, after]));
}

/** In single quotes, as every POSIX shell and zsh take it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The pattern of a `case`. */
export function anyOf(texts: readonly string[]): string {
  return texts.map(quoted).join(' | ');
}
