// The images of Kubernetes manifests of any kind: of every container, and of volumes that are images.
import type { FoundImages, ListedImage } from './found-images.ts';

type Fields = Readonly<Record<string, unknown>>;

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'];

export function imagesOfKubernetes(documents: readonly unknown[]): FoundImages {
  const images: ListedImage[] = [];
  const seen = new Set<unknown>();
  const next: { readonly value: unknown; readonly where: string }[] = documents
    .map((value, index) => ({ value, where: `document ${index + 1}` }))
    .reverse();
  for (let at = next.pop(); at; at = next.pop()) {
    const { value } = at;
    // What an alias names stands in more than one place.
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    seen.add(value);
    const where = nameOf(value as Fields) ?? at.where;
    for (const image of imagesIn(value as Fields)) images.push({ image, where });
    for (const child of Object.values(value).reverse()) next.push({ value: child, where });
  }
  return { images, leftOut: [] };
}

function imagesIn(fields: Fields): string[] {
  const ofContainers = containerLists.flatMap((list) => entriesOf(fields[list]).map(({ image }) => image));
  // https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/
  const ofVolumes = entriesOf(fields.volumes).map(({ image }) => (image as Fields | undefined)?.reference);
  return [...ofContainers, ...ofVolumes].filter((image) => typeof image === 'string');
}

function entriesOf(list: unknown): Fields[] {
  if (!Array.isArray(list)) return [];
  return list.filter((entry) => typeof entry === 'object' && entry !== null);
}

/** Of an object that has one: `Deployment web`. */
function nameOf({ kind, metadata }: Fields): string | undefined {
  const name = (metadata as Fields | null | undefined)?.name;
  return typeof kind === 'string' && typeof name === 'string' ? `${kind} ${name}` : undefined;
}
