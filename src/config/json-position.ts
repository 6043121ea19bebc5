// Where a text stops being JSON, since what JSON.parse tells of it may quote a secret and may leave out the place.

export interface JsonFault {
  readonly line: number;
  readonly column: number;
  readonly expected: string;
}

class Fault extends Error {
  readonly at: number;

  constructor(at: number, expected: string) {
    super(expected);
    this.at = at;
  }
}

/** `undefined` when the text is JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  try {
    const end = skipSpace(text, skipValue(text, skipSpace(text, 0)));
    if (end < text.length) throw new Fault(end, 'nothing after the end of the value');
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, error.at).split('\n');
    return { line: before.length, column: (before.at(-1) ?? '').length + 1, expected: error.message };
  }
}

function skipValue(text: string, at: number): number {
  const first = text[at];
  if (first === '{') return skipItems(text, at, '}', skipMember);
  if (first === '[') return skipItems(text, at, ']', skipValue);
  if (first === '"') return skipString(text, at);
  const literal = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
  literal.lastIndex = at;
  const found = literal.exec(text)?.[0];
  if (found === undefined) throw new Fault(at, 'a value: a text in double quotes, a number, true, false, null, { or [');
  return at + found.length;
}

function skipItems(text: string, open: number, close: string, skipItem: typeof skipValue): number {
  let at = skipSpace(text, open + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    at = skipSpace(text, skipItem(text, at));
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') throw new Fault(at, `a comma or ${close}`);
    const comma = at;
    at = skipSpace(text, at + 1);
    if (text[at] === close) throw new Fault(comma, `no comma before ${close}`);
  }
}

function skipMember(text: string, at: number): number {
  if (text[at] !== '"') throw new Fault(at, 'a key in double quotes');
  const colon = skipSpace(text, skipString(text, at));
  if (text[colon] !== ':') throw new Fault(colon, 'a colon after the key');
  return skipValue(text, skipSpace(text, colon + 1));
}

function skipString(text: string, open: number): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what JSON forbids in a string
  const inside = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
  inside.lastIndex = open + 1;
  const end = open + 1 + (inside.exec(text)?.[0].length ?? 0);
  if (text[end] === '"') return end + 1;
  throw new Fault(
    end,
    text[end] === '\\' ? 'a known escape after the backslash' : 'a double quote at the end of the text',
  );
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\r'.includes(text[at] ?? '')) at++;
  return at;
}
