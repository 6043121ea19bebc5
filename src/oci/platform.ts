// What an image runs on: `linux/amd64`, `linux/arm/v7`, as `docker pull --platform` takes it.

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Of the architecture: `v7` of arm. */
  readonly variant?: string | undefined;
}

/** The platform that nothing runs on: https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md */
const noPlatform = 'unknown';
const form = /^([a-z0-9_.-]+)\/([a-z0-9_.-]+)(?:\/([a-z0-9_.-]+))?$/;

/** As containerd normalises them: https://github.com/containerd/platforms/blob/main/database.go */
const architectures: ReadonlyMap<string, readonly [string, string?]> = new Map<string, [string, string?]>([
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['i386', ['386']],
  ['i686', ['386']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
]);
const usualVariants: ReadonlyMap<string, string> = new Map([
  ['arm', 'v7'],
  ['arm64', 'v8'],
  ['amd64', 'v1'],
]);
/** Where node's name is not the image's. */
const ofNode: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['ppc64', 'ppc64le'],
]);

/** `undefined` for what is none. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = form.exec(text.toLowerCase()) ?? [];
  if (os === undefined || architecture === undefined || os === noPlatform) return undefined;
  const [known = architecture, implied] = architectures.get(architecture) ?? [];
  const told = variant !== undefined && /^\d$/.test(variant) && usualVariants.has(known) ? `v${variant}` : variant;
  return { os: os === 'macos' ? 'darwin' : os, architecture: known, variant: told ?? implied };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Without a variant, an image is of its architecture's usual one, and so is a wish. */
export function isSamePlatform(one: Platform, other: Platform): boolean {
  return one.os === other.os && one.architecture === other.architecture && variantOf(one) === variantOf(other);
}

/** Of an index entry or an image's config; `undefined` where it says none that anything runs on. */
export function platformOf(value: unknown): Platform | undefined {
  const { os, architecture, variant } = (value ?? {}) as Record<string, unknown>;
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined;
  return parsePlatform([os, architecture, ...(typeof variant === 'string' && variant ? [variant] : [])].join('/'));
}

/** What containers of this machine run on, be it in a virtual one. */
export function hostPlatform(architecture: string = process.arch): Platform {
  return { os: 'linux', architecture: ofNode.get(architecture) ?? architecture };
}

function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant ?? usualVariants.get(architecture);
}
