// The one token of the configuration that opens the admin listener.
import { createHash, timingSafeEqual } from 'node:crypto';
import { parseAuthorization } from '../access/authorization.ts';
import { adminName } from '../access/principal.ts';

/** Whether an Authorization header shows it; how long that takes says nothing of how near it was. */
export function showsToken(token: string): (authorization: string | undefined) => boolean {
  const expected = sha256(token);
  return (authorization) => {
    const shown = shownIn(authorization);
    return shown !== undefined && shown !== '' && timingSafeEqual(sha256(shown), expected);
  };
}

/** As a bearer token, or as the password of `admin`: what a browser can ask a person for. */
function shownIn(header = ''): string | undefined {
  // Operators choose the characters of this token, whatever the grammar of the header has room for.
  if (bearer.test(header)) return header.slice('bearer '.length).trim();
  const credentials = parseAuthorization(header);
  return credentials?.scheme === 'basic' && credentials.user === adminName ? credentials.password : undefined;
}

const bearer = /^bearer /i;

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
