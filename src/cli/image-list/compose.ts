// The images of a compose file: of every service that is pulled rather than built.
import type { FoundImages, ListedImage } from './found-images.ts';
import { interpolate } from './interpolate.ts';

type Fields = Readonly<Record<string, unknown>>;

export function isCompose(document: unknown): document is Fields {
  return isFields(document) && isFields(document.services) && document.apiVersion === undefined;
}

/** https://github.com/compose-spec/compose-spec/blob/main/05-services.md#image */
export function imagesOfCompose(document: Fields, env: Readonly<Record<string, string | undefined>>): FoundImages {
  const images: ListedImage[] = [];
  const leftOut: string[] = [];
  for (const [name, service] of Object.entries(document.services as Fields)) {
    const where = `services.${name}`;
    if (!isFields(service)) throw new Error(`${where}: not a service: it has no keys`);
    if (service.image === undefined || service.image === null) continue;
    if (typeof service.image !== 'string') throw new Error(`${where}.image: not a text`);
    if (service.build !== undefined) {
      leftOut.push(`${where}: its image is built, not pulled`);
      continue;
    }
    const image = interpolate(service.image, (variable) => env[variable]);
    const platform = interpolate(`${service.platform ?? ''}`, (variable) => env[variable]);
    const unset = [...image.unset, ...platform.unset];
    if (unset.length > 0) leftOut.push(`${where}: ${unset.join(' and ')} is not set`);
    else images.push({ image: image.text, platform: platform.text || undefined, where });
  }
  if (document.include !== undefined) leftOut.push('include: other files are not followed; name them too');
  return { images, leftOut };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
