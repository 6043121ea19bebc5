// Sizes and durations as people write them: read from text, and written back in the largest unit that is exact.

/** An amount of disk: bytes, or a share of the whole disk (0.8 for "80%"). */
export type Size = { readonly bytes: number } | { readonly share: number };

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  PiB: 1024 ** 5,
  TiB: 1024 ** 4,
  GiB: 1024 ** 3,
  MiB: 1024 ** 2,
  KiB: 1024,
  PB: 1000 ** 5,
  TB: 1000 ** 4,
  GB: 1000 ** 3,
  MB: 1000 ** 2,
  KB: 1000,
  B: 1,
};

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

export const BYTES_FORMS =
  'a size such as "50GiB" or "500MB" (units B, KB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB), or a number of bytes';
export const SIZE_FORMS = `a share of the disk such as "80%", ${BYTES_FORMS}`;
export const DURATION_FORMS =
  'a time such as "250ms", "30s", "10m", "12h" or "7d" (units ms, s, m, h, d), or a number of milliseconds';

/** `undefined` when the value is not an amount of bytes. */
export function parseBytes(value: string | number): number | undefined {
  return parseAmount(value, BYTES_PER_UNIT);
}

/** `undefined` when the value is neither an amount of bytes nor a share above 0% and up to 100%. */
export function parseSize(value: string | number): Size | undefined {
  const percent = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?%$/.exec(value)?.[1] : undefined;
  if (percent !== undefined) {
    const share = Number(percent) / 100;
    return share > 0 && share <= 1 ? { share } : undefined;
  }
  const bytes = parseBytes(value);
  return bytes === undefined ? undefined : { bytes };
}

/** Milliseconds; `undefined` when the value is not a duration. */
export function parseDuration(value: string | number): number | undefined {
  return parseAmount(value, MS_PER_UNIT);
}

/** What `parseBytes` reads back as the same number. */
export function formatBytes(bytes: number): string | number {
  return formatAmount(bytes, BYTES_PER_UNIT) ?? bytes;
}

/** What `parseSize` reads back as the same size. */
export function formatSize(size: Size): string | number {
  // 0.07 * 100 is 7.000000000000001
  return 'share' in size ? `${Number((size.share * 100).toPrecision(12))}%` : formatBytes(size.bytes);
}

/** What `parseDuration` reads back as the same number. */
export function formatDuration(ms: number): string | number {
  return ms === 0 ? '0s' : (formatAmount(ms, MS_PER_UNIT) ?? ms);
}

function parseAmount(value: string | number, factors: Readonly<Record<string, number>>): number | undefined {
  if (typeof value === 'number') return isAmount(value) ? value : undefined;
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(value) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(factors, unit)) return undefined;
  const amount = Math.round(Number(digits) * (factors[unit] ?? Number.NaN));
  return isAmount(amount) ? amount : undefined;
}

function formatAmount(amount: number, factors: Readonly<Record<string, number>>): string | undefined {
  if (amount === 0) return undefined;
  const [unit, factor] = Object.entries(factors).find(([, factor]) => amount % factor === 0) ?? [];
  return unit === undefined || factor === undefined ? undefined : `${amount / factor}${unit}`;
}

function isAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
