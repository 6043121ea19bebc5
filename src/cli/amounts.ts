// Bytes, rates, times and digests, as short as people read them.

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Three figures: `1.23 GB`. Units of a thousand, as docker shows them. */
export function shortBytes(bytes: number): string {
  let [amount, unit] = [bytes, 0];
  // 999.5 would be shown as 1000.
  while (amount >= 999.5 && unit < units.length - 1) [amount, unit] = [amount / 1000, unit + 1];
  const digits = unit === 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2;
  return `${amount.toFixed(digits)} ${units[unit]}`;
}

export function shortRate(bytesPerSecond: number): string {
  return `${shortBytes(bytesPerSecond)}/s`;
}

/** One unit: `3 h`. */
export function shortTime(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** `1 image`, `2 images`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/** The twelve figures that docker shows. */
export function shortDigest(digest: string): string {
  return digest.replace(/^[^:]*:/, '').slice(0, 12);
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** `part` of `whole` as so many characters. */
export function bar(part: number, whole: number, width: number): string {
  const filled = whole > 0 ? Math.round((Math.min(part, whole) / whole) * width) : 0;
  const head = filled > 0 && filled < width ? '>' : '';
  return `[${('='.repeat(filled - head.length) + head).padEnd(width)}]`;
}

/** What a registry, a file or a disk said may hold anything, also what a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
