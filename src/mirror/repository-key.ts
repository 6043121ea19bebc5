// The name of a repository under which things are remembered, or asked for once: another one for those who may see more.
import { formatRepository, type Repository } from '../oci/repository.ts';

export function repositoryKey(repository: Repository): string {
  const name = formatRepository(repository);
  // No name has a space.
  return repository.isPrivate ? `${name} private` : name;
}
