// A table as a test writes it down: a row a line, its cells between bars, the first line for people.

export function rowsOf(table: string): string[][] {
  const [, ...lines] = table.trim().split('\n');
  return lines.map((line) => line.split('|').map((cell) => cell.trim().replaceAll(/ +/g, ' ')));
}
