// What one repository of the fake upstream holds.
import type { FakeManifest } from './fake-image.ts';
import type { ServedContent } from './served-content.ts';

export class FakeRepository {
  readonly name: string;
  readonly blobs = new Map<string, ServedContent>();
  readonly manifests = new Map<string, FakeManifest>();
  readonly tags = new Map<string, string>();
  /** The users who see it; `undefined`: everybody does. It may change at any time. */
  readers: readonly string[] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** `undefined` is somebody without a login. */
  isShownTo(user: string | undefined): boolean {
    return this.readers === undefined || (user !== undefined && this.readers.includes(user));
  }

  addManifest(manifest: FakeManifest, tag?: string): void {
    this.manifests.set(manifest.content.digest, manifest);
    if (tag !== undefined) this.tags.set(tag, manifest.content.digest);
  }

  /** By tag or by digest. */
  manifest(reference: string): FakeManifest | undefined {
    return this.manifests.get(this.tags.get(reference) ?? reference);
  }

  /** The manifests whose `subject` is `digest`, as descriptors for a referrers list. */
  referrers(digest: string): object[] {
    return [...this.manifests.values()].flatMap(({ mediaType, content }) => {
      const json = JSON.parse(Buffer.concat([...content.read(0, content.size)]).toString());
      if (json.subject?.digest !== digest) return [];
      const artifactType: string | undefined = json.artifactType ?? json.config?.mediaType;
      return [{ mediaType, digest: content.digest, size: content.size, artifactType }];
    });
  }
}
