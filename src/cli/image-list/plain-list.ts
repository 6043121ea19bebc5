// A plain list: one image a line, `#` begins a comment.
import type { FoundImages } from './found-images.ts';

export function imagesOfPlainList(text: string): FoundImages {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s)#.*$/, '').trim());
  const images = lines.map((image, index) => ({ image, where: `line ${index + 1}` }));
  return { images: images.filter(({ image }) => image !== ''), leftOut: [] };
}
