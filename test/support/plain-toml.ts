// As much of TOML as our own snippets use: tables, lists of tables, and keys whose values are JSON; anything else throws.

export type PlainToml = { readonly [key: string]: unknown };
type Table = { [key: string]: unknown };

const name = '(?:"[^"\\\\]+"|[A-Za-z0-9_-]+)';
const header = new RegExp(`^(\\[\\[|\\[)(${name}(?:\\.${name})*)(\\]\\]|\\])$`);
const pair = /^([A-Za-z0-9_-]+) = (.+)$/;

export function parsePlainToml(text: string): PlainToml {
  const root: Table = {};
  let table = root;
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [, open, path, close] = header.exec(line) ?? [];
    const [, key, value] = pair.exec(line) ?? [];
    if (path !== undefined && open?.length === close?.length) table = tableAt(root, namesIn(path), open === '[[');
    else if (key !== undefined && value !== undefined && !(key in table)) table[key] = JSON.parse(value);
    else throw new Error(`not TOML of ours: ${line}`);
  }
  return root;
}

function namesIn(path: string): string[] {
  return [...path.matchAll(new RegExp(name, 'g'))].map(([each]) => each.replaceAll('"', ''));
}

function tableAt(root: Table, path: readonly string[], isList: boolean): Table {
  const last = path.at(-1) ?? '';
  let parent = root;
  for (const step of path.slice(0, -1)) {
    parent[step] ??= {};
    const next = parent[step];
    // Below a list of tables its last is meant.
    parent = (Array.isArray(next) ? next.at(-1) : next) as Table;
  }
  if (!isList && last in parent) throw new Error(`twice: [${path.join('.')}]`);
  const table: Table = {};
  if (isList) parent[last] = [...((parent[last] as Table[] | undefined) ?? []), table];
  else parent[last] = table;
  return table;
}
