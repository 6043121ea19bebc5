// The Authorization header: user and password, or a token, or nothing that can be used.

export type Authorization =
  | { readonly scheme: 'basic'; readonly user: string; readonly password: string }
  | { readonly scheme: 'bearer'; readonly token: string };

// https://www.rfc-editor.org/rfc/rfc9110#section-11.4
const form = /^(basic|bearer) +([A-Za-z0-9\-._~+/]+=*) *$/i;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: https://www.rfc-editor.org/rfc/rfc7617#section-2 forbids them
const control = /[\u0000-\u001f\u007f]/;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `undefined` for no header, another scheme, and what is not written as the scheme says. */
export function parseAuthorization(header: string | undefined): Authorization | undefined {
  const [, scheme, credentials] = form.exec(header ?? '') ?? [];
  if (scheme === undefined || credentials === undefined) return undefined;
  return scheme.toLowerCase() === 'bearer' ? { scheme: 'bearer', token: credentials } : parseBasic(credentials);
}

function parseBasic(credentials: string): Authorization | undefined {
  const text = base64.test(credentials) ? decode(credentials) : undefined;
  const colon = text?.indexOf(':') ?? -1;
  if (text === undefined || colon < 0 || control.test(text)) return undefined;
  // `Og==`, a colon alone, is what some clients send when they have no login at all.
  if (text === ':') return undefined;
  return { scheme: 'basic', user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decode(credentials: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(credentials, 'base64'));
  } catch {
    return undefined;
  }
}
