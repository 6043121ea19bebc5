// A plain list: one image a line, `#` begins a comment.
import type { FoundImages, ListedImage } from './found-images.ts';

/** Each image once, and no more than one above `most`. */
export function imagesOfPlainList(text: string, most: number): FoundImages {
  const images = new Map<string, ListedImage>();
  let line = 1;
  for (let at = 0; at <= text.length && images.size <= most; line++) {
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    const image = text
      .slice(at, end)
      .replace(/(^|\s)#.*$/s, '')
      .trim();
    if (image !== '' && !images.has(image)) images.set(image, { image, where: `line ${line}` });
    at = end + 1;
  }
  return { images: [...images.values()], leftOut: [] };
}
