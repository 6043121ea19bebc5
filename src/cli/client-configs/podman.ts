// podman, and skopeo and buildah with it.
import type { ClientConfig, Wish } from './client-config.ts';
import { registriesConf } from './registries-conf.ts';

export function podmanConfig(wish: Wish): ClientConfig {
  return registriesConf(wish, {
    client: 'podman',
    reload: 'nothing: the file is read at each start',
    check: ['podman pull --log-level=debug docker.io/library/busybox 2>&1 | grep -i mirror'],
    notes: [
      'Without root: ~/.config/containers/registries.conf.d in place of /etc/containers/registries.conf.d.',
      'A mirror that is down is passed over; one that breaks off in the middle of a layer fails the pull before podman 4.5.',
    ],
  });
}
