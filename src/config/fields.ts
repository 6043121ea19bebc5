// The kinds of value a key can have; each one's error text says what is allowed, problems.ts adds the key and the find.
import { isIP } from 'node:net';
import { z } from 'zod';
import {
  BYTES_FORMS,
  DURATION_FORMS,
  formatBytes,
  formatDuration,
  formatSize,
  parseBytes,
  parseDuration,
  parseSize,
  SIZE_FORMS,
  type Size,
} from './units.ts';

const scalarInput = (error: string) => z.union([z.string(), z.number()], { error });

/** An object whose unknown keys are errors. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: 'an object' });
}

export function text(allowed = 'a text that is not empty') {
  return z.string({ error: allowed }).min(1, { error: allowed });
}

export function whole(least: number, most: number) {
  const error = `a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export function flag() {
  return z.boolean({ error: 'true or false' });
}

export function oneOf<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names, { error: names.map((name) => `"${name}"`).join(' or ') });
}

export function list<Item extends z.ZodType>(item: Item, allowed: string) {
  return z.array(item, { error: allowed });
}

/** A size of disk, or a share of it. */
export function size() {
  return z.codec(scalarInput(SIZE_FORMS), z.custom<Size>(), {
    decode: (value, context) => parseSize(value) ?? refuse(context, value, SIZE_FORMS),
    encode: formatSize,
  });
}

/** An amount of bytes, at least one. */
export function bytes() {
  return z.codec(scalarInput(BYTES_FORMS), z.custom<number>(), {
    decode: (value, context) => parseBytes(value) || refuse(context, value, BYTES_FORMS),
    encode: formatBytes,
  });
}

/** Milliseconds from zero up. */
export function duration() {
  return z.codec(scalarInput(DURATION_FORMS), z.custom<number>(), {
    decode: (value, context) => parseDuration(value) ?? refuse(context, value, DURATION_FORMS),
    encode: formatDuration,
  });
}

/** Milliseconds, or "forever", which becomes `Infinity`. */
export function durationOrForever() {
  const forms = `"forever", or ${DURATION_FORMS}`;
  return z.codec(scalarInput(forms), z.custom<number>(), {
    decode: (value, context) =>
      value === 'forever' ? Number.POSITIVE_INFINITY : (parseDuration(value) ?? refuse(context, value, forms)),
    encode: (ms) => (ms === Number.POSITIVE_INFINITY ? 'forever' : formatDuration(ms)),
  });
}

/** Milliseconds that a timer can hold and that still make sense to wait: 1 ms to 1 h. */
export function timeout() {
  const forms = `${DURATION_FORMS}, from 1ms to 1h`;
  return z.codec(scalarInput(forms), z.custom<number>(), {
    decode: (value, context) => {
      const ms = parseDuration(value);
      return ms !== undefined && ms >= 1 && ms <= 3_600_000 ? ms : refuse(context, value, forms);
    },
    encode: formatDuration,
  });
}

/** A URL of one of the schemes with nothing secret in it: no user, query or fragment. */
export function url(schemes: readonly string[]) {
  const error = `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}, without user name, password, "?" or "#"`;
  return z.string({ error }).refine((value) => isPlainUrl(value, schemes), { error });
}

/** A host as it stands in a URL, without a port. */
export function host() {
  const error = 'a lower-case host such as "auth.example.com"';
  return z.string({ error }).regex(/^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])$/, { error });
}

/** A part of the name of a program that is looked for on the PATH. */
export function program() {
  const error = 'letters, digits, ".", "_" and "-"';
  return z.string({ error }).regex(/^[A-Za-z0-9._-]+$/, { error });
}

/** An IP address, or a network such as 10.0.0.0/8. */
export function network() {
  const error = 'an IP address or a network such as "10.0.0.0/8"';
  return z.string({ error }).refine(isNetwork, { error });
}

/** The prefix of a location of nginx, as it may stand in a header field without being escaped. */
export function location() {
  const error = 'a path of letters, digits, ".", "_", "~" and "-" that begins and ends with "/", but not with "/v2/"';
  return z.string({ error }).regex(/^\/(?!v2\/)(?:(?!\.{1,2}\/)[A-Za-z0-9._~-]+\/)+$/, { error });
}

function isPlainUrl(value: string, schemes: readonly string[]): boolean {
  if (!schemes.some((scheme) => value.startsWith(`${scheme}://`)) || /[?#@\s\\]/.test(value)) return false;
  return URL.canParse(value) && new URL(value).hostname !== '';
}

function isNetwork(value: string): boolean {
  const [, address = '', prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const version = isIP(address);
  return version !== 0 && (prefix === undefined || Number(prefix) <= (version === 4 ? 32 : 128));
}

function refuse(context: z.core.ParsePayload, input: unknown, message: string): never {
  context.issues.push({ code: 'custom', input, message });
  return z.NEVER;
}
