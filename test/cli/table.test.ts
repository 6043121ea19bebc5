// Rows in columns.
import { expect, test } from 'vitest';
import { tableLines } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell, and end where their text does', () => {
  expect(
    tableLines(
      [
        ['A', 'LONG', 'C'],
        ['abc', '1', ''],
        ['', '22', 'x'],
      ],
      [1],
    ),
  ).toEqual(['A    LONG  C', 'abc     1', '       22  x']);
});

test('a cell is what a terminal may have, and as wide as that', () => {
  expect(
    tableLines([
      ['a\u001b[2J\n\u202e\u009b', 'b'],
      ['x', 'y'],
    ]),
  ).toEqual(['a?[2J???  b', 'x         y']);
});
