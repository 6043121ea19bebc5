// The media types a mirror must tell apart, and the one Accept it sends upstream.

export const mediaTypes = {
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  octetStream: 'application/octet-stream',
} as const;

const manifestTypes: ReadonlySet<string> = new Set([
  mediaTypes.dockerManifest,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
]);

/** Sent for every client, whatever it accepts itself: what is cached must not depend on who asked first. */
export const manifestAccept = [...manifestTypes].join(', ');

export function isManifestType(mediaType: string): boolean {
  return manifestTypes.has(mediaType);
}

/** Layers that may only be had from the place in their `urls`, which a mirror does not ask. */
export function isForeignType(mediaType: string): boolean {
  return /\.(foreign|nondistributable)\./.test(mediaType);
}

/** The type without parameters, lower-cased: `Application/JSON; charset=utf-8` is `application/json`. */
export function bareMediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}
