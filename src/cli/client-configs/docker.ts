// dockerd: daemon.json, which knows mirrors of Docker Hub alone.
import { ConfigError } from '../../config/config-error.ts';
import { addressNotes, type ClientConfig, quoted, type Wish } from './client-config.ts';

const hub = 'docker.io';

export function dockerConfig({ mirror, registries, defaultUpstream }: Wish): ClientConfig {
  if (!registries.includes(hub))
    throw new ConfigError(`dockerd mirrors Docker Hub alone, and this mirror has no upstreams.${hub}`);
  // At its root the mirror takes what dockerd asks for as of the default upstream.
  const url = defaultUpstream === hub ? mirror.url : `${mirror.url}/${hub}`;
  const keys = { 'registry-mirrors': url, ...(mirror.isPlain && { 'insecure-registries': mirror.host }) };
  const lines = Object.entries(keys).map(([key, value]) => `  ${quoted(key)}: [${quoted(value)}]`);
  return {
    path: '/etc/docker/daemon.json',
    content: `{\n${lines.join(',\n')}\n}\n`,
    takesComments: false,
    reload: 'systemctl reload docker   (or: kill -HUP $(pidof dockerd); nothing that runs is stopped)',
    check: [`docker info | grep -A1 'Registry Mirrors'`, 'docker pull busybox'],
    notes: [
      'If the file is there already, add these keys to its object; merged by jq, where only the lists of these keys are replaced:',
      `  stillwater client-config docker --mirror ${mirror.url} | jq -s '.[0] * .[1]' /etc/docker/daemon.json - > new.json`,
      'dockerd does not start when a key is in the file and is given to it as a flag too.',
      ...(url === mirror.url ? [] : [`The path /${hub} is there because defaultUpstream is ${defaultUpstream}.`]),
      ...(url === `http${mirror.isPlain ? '' : 's'}://${mirror.host}`
        ? []
        : ['A mirror with a path needs dockerd 25 or newer; older ones do not start with it.']),
      ...(mirror.isPlain
        ? ['insecure-registries lets docker build, and names that begin with the mirror, use HTTP as well.']
        : []),
      `Mirrors are for Docker Hub. Other registries: docker pull ${mirror.host}/ghcr.io/OWNER/IMAGE:TAG`,
      'While the mirror is down dockerd pulls from Docker Hub itself, at once if the port refuses.',
      ...addressNotes(mirror, `/etc/docker/certs.d/${mirror.host}/ca.crt has to be it.`),
    ],
  };
}
