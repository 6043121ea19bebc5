// The place where a text stops being JSON.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findJsonFault } from '../../src/config/json-position.ts';

test.each([
  ['{"a": 1,}', 1, 8, 'no comma before }'],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'a comma or }'],
  ["{'a': 1}", 1, 2, 'a key in double quotes'],
  ['{"a" 1}', 1, 6, 'a colon after the key'],
  ['{\n// note\n}', 2, 1, 'a key in double quotes'],
  ['{"a": "b\n"}', 1, 9, 'a double quote at the end of the text'],
  ['{"a": "\\x"}', 1, 8, 'a known escape after the backslash'],
  ['{} x', 1, 4, 'nothing after the end of the value'],
])('finds the fault in %j', (text, line, column, expected) => {
  expect(findJsonFault(text)).toEqual({ line, column, expected });
});

test('finds a fault exactly where JSON.parse finds one, whatever is cut out of or put into a valid text', () => {
  const edit = fc.tuple(
    fc.json(),
    fc.nat(),
    fc.nat({ max: 2 }),
    fc.constantFrom('', ',', '"', '}', '0', '-', '\\', 'e', ' ', '\u00a0'),
  );
  fc.assert(
    fc.property(edit, ([json, where, cut, put]) => {
      const at = where % (json.length + 1);
      const text = json.slice(0, at) + put + json.slice(at + cut);
      expect(findJsonFault(text) === undefined).toBe(isJson(text));
    }),
    { numRuns: 2000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
