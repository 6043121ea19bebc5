// A repository: the registry it lives on, as users write it, and its path there.

export interface Repository {
  readonly registry: string;
  readonly path: string;
  /**
   * Set where only some may see it: what is learned of it now is kept apart from what was learned of it while everybody
   * could see it, so that it is not shown to everybody later.
   */
  readonly isPrivate?: boolean;
}

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathForm = new RegExp(`^${component}(?:/${component})*$`);

/** The spec lets clients limit registry host and path together to 255 characters. */
const maxLength = 255;

export function isRepositoryPath(text: string): boolean {
  return text.length <= maxLength && pathForm.test(text);
}

export function formatRepository({ registry, path }: Repository): string {
  return `${registry}/${path}`;
}
