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
