// BuildKit: buildkitd.toml, for buildkitd itself and for a builder of buildx.
import { addressNotes, type ClientConfig, hostAlone, quoted, type Wish } from './client-config.ts';

export function buildkitConfig({ mirror, registries }: Wish): ClientConfig {
  const host = hostAlone(mirror, 'BuildKit');
  const blocks = registries.map(
    (registry) => `[registry.${quoted(registry)}]\n  mirrors = [${quoted(`${host}/${registry}`)}]\n`,
  );
  const plain = `[registry.${quoted(host)}]\n  http = true\n`;
  return {
    path: '/etc/buildkit/buildkitd.toml',
    content: [...blocks, ...(mirror.isPlain ? [plain] : [])].join('\n'),
    takesComments: true,
    reload: 'systemctl restart buildkit   (a builder of buildx is made anew, as below)',
    check: [`printf 'FROM busybox\\nRUN true\\n' | docker buildx build --no-cache -`],
    notes: [
      'For buildx: docker buildx create --use --driver docker-container --buildkitd-config FILE   (--config before buildx 0.14)',
      'Without root: ~/.config/buildkit/buildkitd.toml.',
      'docker build without such a builder reads the daemon.json of dockerd: stillwater client-config docker',
      'While the mirror is down BuildKit pulls from the registry itself.',
      ...addressNotes(mirror, `add ca = ["/path/of/it.pem"] to [registry.${quoted(host)}].`),
    ],
  };
}
