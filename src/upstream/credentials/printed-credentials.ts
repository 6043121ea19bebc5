// The JSON that credential helpers and other commands print.
import type { Credentials } from './credentials.ts';

export interface PrintedCredentials {
  readonly credentials: Credentials;
  /** By the clock on the wall, as `Date.now()` tells it. */
  readonly expiresAt: number | undefined;
}

/** How `docker login` marks that the secret is an identity token. */
const identityUser = '<token>';

/** Throws an `Error` that says what is missing, in words that are not the command's. */
export function parsePrintedCredentials(output: string): PrintedCredentials {
  const printed = parseObject(output);
  const username = textOf(printed, 'username', 'Username');
  const password = textOf(printed, 'password', 'Secret');
  const identityToken = textOf(printed, 'identityToken') ?? (username === identityUser ? password : undefined);
  const expiresAt = expiryOf(printed);
  if (identityToken !== undefined) return { credentials: { identityToken }, expiresAt };
  if (username === undefined || password === undefined) throw new Error('printed no username and password');
  return { credentials: { username, password }, expiresAt };
}

function parseObject(output: string): Readonly<Record<string, unknown>> {
  let printed: unknown;
  try {
    printed = JSON.parse(output);
  } catch {
    // The parser's own complaint quotes what it reads.
  }
  if (typeof printed !== 'object' || printed === null) throw new Error('printed no JSON object');
  return printed as Record<string, unknown>;
}

function textOf(printed: Readonly<Record<string, unknown>>, ...keys: readonly string[]): string | undefined {
  return keys.map((key) => printed[key]).find((value) => typeof value === 'string' && value !== '') as
    | string
    | undefined;
}

function expiryOf({ expiresAt }: Readonly<Record<string, unknown>>): number | undefined {
  if (expiresAt === undefined || expiresAt === null) return undefined;
  const at = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
  if (Number.isNaN(at)) throw new Error('printed an expiresAt that is no date, such as 2027-01-31T12:00:00Z');
  return at;
}
