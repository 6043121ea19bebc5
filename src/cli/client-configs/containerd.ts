// containerd and nerdctl: one hosts.toml for every registry.
import { addressNotes, type ClientConfig, quoted, type Wish } from './client-config.ts';

export function containerdConfig({ mirror }: Wish): ClientConfig {
  return {
    path: '/etc/containerd/certs.d/_default/hosts.toml',
    content: `[host.${quoted(mirror.url)}]\n  capabilities = ["pull", "resolve"]\n`,
    takesComments: true,
    reload: 'nothing: the file is read at each pull, once config_path is set (below)',
    check: [
      'crictl pull docker.io/library/busybox:latest',
      'ctr images pull --hosts-dir /etc/containerd/certs.d docker.io/library/busybox:latest',
    ],
    notes: [
      'Kubernetes needs config_path in /etc/containerd/config.toml, and after that: systemctl restart containerd',
      `  containerd 1.x: [plugins."io.containerd.grpc.v1.cri".registry] config_path = "/etc/containerd/certs.d"`,
      `  containerd 2.x: [plugins.'io.containerd.cri.v1.images'.registry] config_path = '/etc/containerd/certs.d'`,
      'A folder of a registry beside _default, such as docker.io, is used in its place.',
      'Without a server line, what the mirror does not have or cannot get comes from the registry itself.',
      ...addressNotes(mirror, 'add ca = "/path/of/it.pem" below capabilities.'),
    ],
  };
}
