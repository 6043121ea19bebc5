// What the schema found wrong, in one sentence a problem: the key, what was found, what is allowed.
import type { z } from 'zod';
import { allKeys, isNearSecret, type KeyPath, keyName, keysAt } from './keys.ts';
import { nearest } from './nearest.ts';

export interface Problem {
  readonly path: KeyPath;
  /** Begins with the key's name unless the key goes without saying. */
  readonly message: string;
}

export interface ProblemOptions {
  /** The value at a path, as it was given. */
  readonly valueAt: (path: KeyPath) => unknown;
  /** Whether the value came out of ${env:…} or ${file:…}: then it may be a secret wherever it is. */
  readonly isReferred: (path: KeyPath) => boolean;
  readonly upstreamNames: readonly string[];
}

export function describeIssue(issue: z.core.$ZodIssue, options: ProblemOptions): Problem[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey([...path, key], options) }));
  }
  if (issue.code === 'invalid_key') {
    const name = String(path.at(-1));
    const message = `${keyName(path)}: an upstream is named as in an image reference: a lower-case host or host:port, not ${show(name)}`;
    return [{ path, message }];
  }
  const value = options.valueAt(path);
  const allowed = `allowed is ${issue.message}`;
  if (value === undefined) return [{ path, message: `${keyName(path)} is missing: ${allowed}` }];
  const isHidden = isNearSecret(path) || options.isReferred(path);
  return [
    { path, message: `${keyName(path)}: found ${isHidden ? 'a value not shown here' : show(value)}, ${allowed}` },
  ];
}

function unknownKey(path: KeyPath, { upstreamNames }: ProblemOptions): string {
  const siblings = keysAt(path.slice(0, -1)).filter((key) => key !== '$schema');
  const parent = path.slice(0, -1);
  const meant =
    nearestSibling(path, siblings) ??
    nearest(keyName(path), allKeys(upstreamNames).map(keyName)) ??
    sameNameElsewhere(path, upstreamNames);
  const hint = meant
    ? `did you mean ${meant}?`
    : `known ${parent.length > 0 ? `in ${keyName(parent)}` : 'keys'}: ${siblings.join(', ')}`;
  return `${keyName(path)} is not a known key; ${hint}`;
}

function nearestSibling(path: KeyPath, siblings: readonly string[]): string | undefined {
  const meant = nearest(String(path.at(-1)), siblings);
  return meant && keyName([...path.slice(0, -1), meant]);
}

function sameNameElsewhere(path: KeyPath, upstreamNames: readonly string[]): string | undefined {
  const last = String(path.at(-1)).toLowerCase();
  const found = allKeys(upstreamNames).find((known) => known.at(-1)?.toLowerCase() === last);
  return found && keyName(found);
}

// A text with an @ may be a URL with a password in it, what follows a ? or # in one may be a token.
function show(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return String(value);
  if (value.includes('@')) return 'a text with an "@" in it';
  const text = value.replace(/([?#]).*$/s, '$1…');
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
