// kaniko, which reads no file: flags of its executor, one a line.
import { addressNotes, type ClientConfig, hostAlone, type Wish } from './client-config.ts';

/** The one registry that kaniko knows by another name than images do. */
const nameAtKaniko: Readonly<Record<string, string>> = { 'docker.io': 'index.docker.io' };

export function kanikoConfig({ mirror, registries }: Wish): ClientConfig {
  const host = hostAlone(mirror, 'kaniko');
  const flags = [
    ...registries.map((registry) => `--registry-map=${nameAtKaniko[registry] ?? registry}=${host}/${registry}`),
    ...(mirror.isPlain ? [`--insecure-registry=${host}`] : []),
  ];
  return {
    path: 'arguments of /kaniko/executor',
    content: `${flags.join('\n')}\n`,
    takesComments: false,
    reload: 'nothing: they are for one build',
    check: ['the log of the build says: Retrieving image … from mapped registry'],
    notes: [
      'kaniko 1.23 or newer. For older ones: --registry-mirror=HOST:PORT, for Docker Hub alone.',
      'It asks the registry itself when the mirror does not give the manifest; a layer that fails later fails the build.',
      ...addressNotes(mirror, `--registry-certificate=${host}=/path/of/it.pem`),
    ],
  };
}
