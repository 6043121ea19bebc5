// What others say, in messages of ours: it goes into logs and to clients.

/** One printable line, and short. */
export function foreignText(text: string, length = 100): string {
  return text
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, length);
}
