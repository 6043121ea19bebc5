// CRI-O, which reads what podman reads.
import type { ClientConfig, Wish } from './client-config.ts';
import { registriesConf } from './registries-conf.ts';

export function crioConfig(wish: Wish): ClientConfig {
  return registriesConf(wish, {
    client: 'CRI-O',
    reload: 'systemctl reload crio',
    check: ['crictl pull docker.io/library/busybox:latest', 'journalctl -u crio -n 20'],
    notes: ['On OpenShift do not write the file: an ImageTagMirrorSet or ImageDigestMirrorSet makes it.'],
  });
}
