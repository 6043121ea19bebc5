// Files of users and their bcrypt hashes, as Apache's htpasswd writes them: read whole, changed a line at a time.
import { isReservedName } from './principal.ts';

/** bcrypt sees no more than this many bytes of a password. */
export const mostPasswordBytes = 72;

const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** Each step doubles the time; at 14 a password takes about a second. */
const mostCost = 14;

/** Throws an Error that names the line and what is wrong with it, but never the hash. */
export function parseHtpasswd(text: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [at, line] of linesOf(text).entries()) {
    if (isComment(line)) continue;
    const colon = line.indexOf(':');
    if (colon < 0) throw lineFault(at, 'it has no colon; write USER:HASH, or use stillwater user add');
    const [user, encoded] = [line.slice(0, colon), line.slice(colon + 1).trimEnd()];
    const fault = userNameFault(user) ?? hashFault(user, encoded);
    if (fault !== undefined) throw lineFault(at, fault);
    if (users.has(user))
      throw lineFault(at, `the user ${JSON.stringify(user)} is there twice; remove one of the lines`);
    users.set(user, encoded);
  }
  return users;
}

/** The text with the user's line replaced, or added at the end; every other line stays as it is, good or not. */
export function putUser(text: string, user: string, encoded: string): string {
  const lines = text === '' ? [] : text.replace(/\r?\n$/, '').split('\n');
  const entry = `${user}:${encoded}`;
  const first = lines.findIndex((line) => isOf(line, user));
  if (first < 0) return joined([...lines, entry]);
  return joined(lines.flatMap((line, at) => (at === first ? [entry] : isOf(line, user) ? [] : [line])));
}

/** `undefined` when there is no such user. */
export function removeUser(text: string, user: string): string | undefined {
  const lines = text.replace(/\r?\n$/, '').split('\n');
  const others = lines.filter((line) => !isOf(line, user));
  return others.length === lines.length ? undefined : joined(others);
}

/** A line's worth of why the name cannot be a user's; `undefined` if it can. */
export function userNameFault(user: string): string | undefined {
  const name = JSON.stringify(user.slice(0, 100));
  if (user === '') return 'the user has no name';
  if (isReservedName(user)) return `${name} means somebody else in access.rules; choose another name`;
  if (user !== user.trim() || /[\p{Cc}:]|^#/u.test(user) || user.length > 255)
    return `${name} cannot be a user name; choose one of up to 255 characters, without colons or spaces around it`;
  return undefined;
}

/** A line's worth of why nobody could log in with the password; `undefined` if it will do. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'the password is empty; choose another';
  if (/\p{Cc}/u.test(password)) return 'the password has line breaks or other control characters; choose another';
  if (Buffer.byteLength(password) <= mostPasswordBytes) return undefined;
  return `the password is longer than ${mostPasswordBytes} bytes, of which bcrypt sees no more; choose a shorter one`;
}

function hashFault(user: string, encoded: string): string | undefined {
  const name = JSON.stringify(user);
  const cost = Number(bcryptForm.exec(encoded)?.[1]);
  if (Number.isNaN(cost)) return `the hash of ${name} is not bcrypt; use htpasswd -B or stillwater user add`;
  if (cost >= 4 && cost <= mostCost) return undefined;
  return `the hash of ${name} has cost ${cost}, allowed is 4 to ${mostCost}; make a new one with stillwater user add`;
}

function lineFault(at: number, fault: string): Error {
  return new Error(`line ${at + 1}: ${fault}`);
}

function linesOf(text: string): string[] {
  return text.replace(/^\uFEFF/, '').split(/\r?\n/);
}

function isComment(line: string): boolean {
  return line.trim() === '' || line.startsWith('#');
}

function isOf(line: string, user: string): boolean {
  return line.replace(/^\uFEFF/, '').startsWith(`${user}:`);
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
