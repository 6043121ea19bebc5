// What every measurement prints, and whether it kept its promise.

export type Row = readonly [name: string, value: string | number, isKept?: boolean];

/** Prints the rows; a promise that was not kept is marked, and makes the process fail. */
export function printTable(rows: readonly Row[]): void {
  for (const [name, value, isKept = true] of rows) {
    process.stdout.write(`${name.padEnd(56)} ${value}${isKept ? '' : '   <-- not kept'}\n`);
    if (!isKept) process.exitCode = 1;
  }
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
