// Platforms as the API takes them.
import { HTTPException } from 'hono/http-exception';
import { type Platform, parsePlatform } from '../oci/platform.ts';

/** `all` alone is all. Throws what is answered with 400. */
export function parsePlatforms(texts: readonly string[]): readonly Platform[] | 'all' {
  return texts.length === 1 && texts[0] === 'all' ? 'all' : texts.map(parseOne);
}

function parseOne(text: string): Platform {
  const platform = parsePlatform(text);
  if (platform) return platform;
  const message = `not a platform: ${JSON.stringify(text.slice(0, 100))}; write OS/ARCHITECTURE, as in linux/arm64`;
  throw new HTTPException(400, { message });
}
