// The file of named tokens: read strictly, since a scope or an expiry that is misread would let somebody in.
import { isReservedName } from './principal.ts';

export interface TokenRecord {
  readonly name: string;
  /** Of the token's text, in hexadecimal. */
  readonly sha256: string;
  /** Globs of `registry/path`; without them, every repository. */
  readonly scopes?: readonly string[];
  readonly createdAt: string;
  readonly expiresAt?: string;
}

type Fields = Readonly<Record<string, unknown>>;

const dateForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
const tokenKeys = ['name', 'sha256', 'scopes', 'createdAt', 'expiresAt'];

/** Throws an Error that names the token and what is wrong with it. */
export function parseTokenFile(text: string): readonly TokenRecord[] {
  const content = parseJson(text.replace(/^\uFEFF/, ''));
  if (!isFields(content) || !Array.isArray(content.tokens)) throw new Error('it is not of the form {"tokens": […]}');
  refuseUnknown(content, ['tokens'], 'the file');
  const tokens = content.tokens.map(parseRecord);
  for (const key of ['name', 'sha256'] as const) {
    const twice = tokens.findIndex((token, at) => tokens.findIndex((other) => other[key] === token[key]) !== at);
    if (twice >= 0) throw new Error(`${at(twice)}: its ${key} is that of another token too; remove one of them`);
  }
  return tokens;
}

/** What `parseTokenFile` reads back. */
export function formatTokenFile(tokens: readonly TokenRecord[]): string {
  return `${JSON.stringify({ tokens }, undefined, 2)}\n`;
}

/** A line's worth of why the name cannot be a token's; `undefined` if it can. */
export function tokenNameFault(name: string): string | undefined {
  const quoted = JSON.stringify(name.slice(0, 100));
  if (isReservedName(name)) return `${quoted} means somebody else in access.rules; choose another name`;
  if (name !== name.trim() || /\p{Cc}/u.test(name) || name.length > 255)
    return `${quoted} cannot be a name; choose one of up to 255 characters, without spaces around it`;
  return undefined;
}

function parseRecord(entry: unknown, index: number): TokenRecord {
  const where = at(index);
  if (!isFields(entry)) throw new Error(`${where}: it is not an object`);
  refuseUnknown(entry, tokenKeys, where);
  const { name, sha256, scopes, createdAt, expiresAt } = entry;
  if (typeof name !== 'string') throw new Error(`${where}: it has no name`);
  const fault = tokenNameFault(name);
  if (fault !== undefined) throw new Error(`${where}: ${fault}`);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw new Error(`${where}: its sha256 is not 64 hexadecimal digits; make a new token with stillwater token create`);
  if (scopes !== undefined && !isScopes(scopes))
    throw new Error(`${where}: its scopes are not a list of globs; leave them out for every repository`);
  if (!isDate(createdAt)) throw new Error(`${where}: its createdAt is not a time such as "2026-01-31T12:00:00Z"`);
  if (expiresAt !== undefined && !isDate(expiresAt))
    throw new Error(`${where}: its expiresAt is not a time such as "2026-01-31T12:00:00Z"`);
  return { name, sha256, ...(scopes && { scopes }), createdAt, ...(expiresAt !== undefined && { expiresAt }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says quotes the file.
    throw new Error('it is not JSON; mend it, or make a new file');
  }
}

function refuseUnknown(fields: Fields, known: readonly string[], where: string): void {
  const unknown = Object.keys(fields).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new Error(`${where}: unknown key ${JSON.stringify(unknown.slice(0, 100))}; the keys are ${known.join(', ')}`);
}

function at(index: number): string {
  return `tokens[${index}]`;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScopes(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isScope);
}

function isScope(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value);
}

function isDate(value: unknown): value is string {
  return typeof value === 'string' && dateForm.test(value) && !Number.isNaN(Date.parse(value));
}
