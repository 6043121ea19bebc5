// A path as it came in a request: decoded once, before any URL parser has tidied it up.
import { OciError } from './errors.ts';

/** A request target without the host that may stand in front of it, as to a proxy, and a user and a password in front of that. */
export function originForm(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
}

/** Where a request target goes, as it was written, without what may hold secrets: a user, and the query. */
export function targetPath(target: string): string {
  return originForm(target).replace(/[?#].*$/s, '');
}

/** Throws `OciError` NAME_INVALID for what is no valid encoding, and for what others may have read as something else. */
export function decodePath(rawPath: string): string {
  // An encoded slash would be a separator to us and none to whoever looked before us.
  if (/%2f|%5c|%00/i.test(rawPath)) throw new OciError('NAME_INVALID', 'an encoded slash or NUL is not part of a name');
  try {
    return decodeURIComponent(rawPath);
  } catch {
    throw new OciError('NAME_INVALID', 'the path is not valid percent-encoded UTF-8');
  }
}
