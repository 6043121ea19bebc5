// Tokens as a table for people.
import { tableLines } from './table.ts';

export interface ListedToken {
  readonly name: string;
  readonly scopes: readonly string[] | null;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
}

/** With a line of headings; `now` in milliseconds since 1970. */
export function tokenLines(tokens: readonly ListedToken[], now: number): readonly string[] {
  const rows = tokens.map(({ name, scopes, expiresAt, lastUsedAt }) => [
    name,
    scopes?.join(' ') ?? 'all',
    expiryOf(expiresAt, now),
    lastUsedAt === null ? 'never' : minuteOf(lastUsedAt),
  ]);
  return tableLines([['NAME', 'SCOPES', 'EXPIRES', 'LAST USED'], ...rows]);
}

function expiryOf(expiresAt: string | null, now: number): string {
  if (expiresAt === null) return 'never';
  return Date.parse(expiresAt) > now ? minuteOf(expiresAt) : `expired ${minuteOf(expiresAt)}`;
}

function minuteOf(time: string): string {
  return new Date(time).toISOString().replace(/^(.{10})T(.{5}).*/, '$1 $2Z');
}
