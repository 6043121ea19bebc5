// k3s and RKE2: registries.yaml, from which they write the files of their containerd.
import { addressNotes, type ClientConfig, quoted, type Wish } from './client-config.ts';

export function k3sConfig({ mirror, registries }: Wish): ClientConfig {
  // Where there is a path, k3s leaves it to us to say where the API begins.
  const endpoint = mirror.path === '' ? mirror.url : `${mirror.url}/v2`;
  const entries = registries.map((registry) => `  ${quoted(registry)}:\n    endpoint:\n      - ${quoted(endpoint)}\n`);
  return {
    path: '/etc/rancher/k3s/registries.yaml',
    content: `mirrors:\n${entries.join('')}`,
    takesComments: true,
    reload: 'systemctl restart k3s   (or k3s-agent; what runs goes on)',
    check: ['k3s crictl pull docker.io/library/busybox:latest'],
    notes: [
      'On every node. RKE2: /etc/rancher/rke2/registries.yaml, and restart rke2-server or rke2-agent.',
      'Each registry by name: with "*" some releases of 2024 and 2025 did not go on to the registry itself.',
      'While the mirror is down containerd pulls from the registry itself, unless --disable-default-registry-endpoint is given.',
      ...addressNotes(mirror, `name it as configs: {${quoted(mirror.host)}: {tls: {ca_file: /path/of/it.pem}}}.`),
    ],
  };
}
