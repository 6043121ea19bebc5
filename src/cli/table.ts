// Rows in columns, for people: as wide as their widest cell.
import { printable } from './amounts.ts';

/** `right`: the columns that stand at their right edge. */
export function tableLines(given: readonly (readonly string[])[], right: readonly number[] = []): readonly string[] {
  const rows = given.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    return cells.join('  ').trimEnd();
  });
}
