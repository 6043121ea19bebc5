// registries.conf, which podman, skopeo, buildah and CRI-O read: a block for each registry.
import { addressNotes, type ClientConfig, hostAlone, quoted, type Wish } from './client-config.ts';

export interface Reader {
  readonly client: string;
  readonly reload: string;
  readonly check: readonly string[];
  readonly notes: readonly string[];
}

export function registriesConf({ mirror, registries }: Wish, { client, reload, check, notes }: Reader): ClientConfig {
  const host = hostAlone(mirror, client);
  const blocks = registries.map((registry) =>
    [
      '[[registry]]',
      `prefix = ${quoted(registry)}`,
      `location = ${quoted(registry)}`,
      '[[registry.mirror]]',
      `location = ${quoted(`${host}/${registry}`)}`,
      ...(mirror.isPlain ? ['insecure = true'] : []),
    ].join('\n'),
  );
  return {
    path: '/etc/containers/registries.conf.d/50-stillwater.conf',
    content: `${blocks.join('\n\n')}\n`,
    takesComments: true,
    reload,
    check,
    notes: [
      'A block of the same prefix in /etc/containers/registries.conf, or in an earlier file of the folder, is replaced.',
      ...notes,
      'A registry without a block here is asked directly: add one as soon as the mirror serves it.',
      ...addressNotes(mirror, `/etc/containers/certs.d/${host}/ca.crt has to be it.`),
    ],
  };
}
