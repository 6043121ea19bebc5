// Variables in a text, as compose files and Dockerfiles have them: $NAME, ${NAME}, ${NAME:-default} and their kin.

export interface Interpolated {
  readonly text: string;
  /** What had no value, as a person would name it; the text is of no use then. */
  readonly unset: readonly string[];
}

/** No image is nearly as long. */
const longest = 4096;
const tooLong: Interpolated = { text: '', unset: ['a text of this length'] };

/** `$$` is a dollar. Defaults may hold variables of their own. */
export function interpolate(text: string, known: (name: string) => string | undefined): Interpolated {
  const unset: string[] = [];
  if (text.length > longest) return tooLong;
  const expanded = expand(text);
  // What is given for a variable may have been expanded itself: each one on top of another, it would grow without end.
  return expanded.length > longest ? tooLong : { text: expanded, unset };

  function expand(part: string): string {
    let expanded = '';
    let rest = part;
    for (;;) {
      const dollar = rest.indexOf('$');
      if (dollar === -1) return expanded + rest;
      expanded += rest.slice(0, dollar);
      rest = rest.slice(dollar + 1);
      const [plain] = /^\w+/.exec(rest) ?? [];
      const braced = rest.startsWith('{') ? bracesOf(rest) : undefined;
      if (plain !== undefined) expanded += value(plain, plain);
      else if (braced !== undefined) expanded += choose(braced);
      else expanded += '$';
      const taken = plain?.length ?? (braced === undefined ? undefined : braced.length + 2);
      rest = rest.slice(taken ?? (rest.startsWith('$') ? 1 : 0));
    }
  }

  function choose(inside: string): string {
    const [, name = '', operator, word = ''] = /^([A-Za-z_]\w*)(?:(:?[-+?])(.*))?$/s.exec(inside) ?? [];
    if (name === '') return value(`\${${inside}}`, '');
    const given = known(name);
    const isThere = given !== undefined && (given !== '' || !operator?.startsWith(':'));
    if (operator?.endsWith('+')) return isThere ? expand(word) : '';
    if (operator?.endsWith('-') && !isThere) return expand(word);
    if (operator?.endsWith('?') && !isThere) return value(word === '' ? name : `${name} (${word})`, '');
    return value(name, name);
  }

  function value(shown: string, name: string): string {
    const given = name === '' ? undefined : known(name);
    if (given === undefined) unset.push(shown);
    // One character more is too long already.
    return given?.slice(0, longest + 1) ?? '';
  }
}

/** Between the brace that the text begins with and the one that closes it; `undefined` where nothing does. */
function bracesOf(text: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return text.slice(1, at);
  }
  return undefined;
}
