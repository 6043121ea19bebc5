// `client-config`: what a client needs to pull through the mirror. Stdout is the file itself, whole and valid.
import { Argument, type Command, CommanderError, Option } from 'commander';
import { loadConfig } from '../config/load.ts';
import { buildkitConfig } from './client-configs/buildkit.ts';
import type { ClientConfig, Writer } from './client-configs/client-config.ts';
import { containerdConfig } from './client-configs/containerd.ts';
import { crioConfig } from './client-configs/cri-o.ts';
import { dockerConfig } from './client-configs/docker.ts';
import { k3sConfig } from './client-configs/k3s.ts';
import { kanikoConfig } from './client-configs/kaniko.ts';
import { type MirrorAddress, mirrorOf, parseMirrorAddress } from './client-configs/mirror-address.ts';
import { podmanConfig } from './client-configs/podman.ts';
import { shownUrl } from './shown-url.ts';

const writers = {
  docker: dockerConfig,
  containerd: containerdConfig,
  podman: podmanConfig,
  buildkit: buildkitConfig,
  k3s: k3sConfig,
  kaniko: kanikoConfig,
  'cri-o': crioConfig,
} satisfies Record<string, Writer>;

interface Flags {
  readonly mirror?: MirrorAddress;
  readonly config?: string;
  readonly json?: true;
}

const help = `
Stdout is the file as it belongs on the client: what else there is to know stands in comments in it, or on stderr
where the file cannot have any (docker, kaniko).

Examples:
  stillwater client-config docker --mirror http://mirror.example:5000
  stillwater client-config containerd --mirror https://mirror.example > hosts.toml
  stillwater client-config podman | ssh node1 'cat > /etc/containers/registries.conf.d/50-stillwater.conf'`;

export function addClientConfigCommand(program: Command): void {
  program
    .command('client-config')
    .description('print what a client needs to pull through this mirror, where it goes and how it is read again')
    .addArgument(new Argument('<client>', 'which client').choices(Object.keys(writers)))
    .addOption(mirrorOption('where clients reach the mirror (default: as listen has it, by the name of this machine)'))
    .option('--config <file>', 'the configuration of the mirror, for its address and its upstreams')
    .option('--json', 'print {path, content, reload, check, notes} instead')
    .addHelpText('after', help)
    .action(printClientConfig);
}

export function mirrorOption(description: string): Option {
  return urlOption('--mirror <url>', description, parseMirrorAddress);
}

/** What `parse` throws says what is wrong, without naming it: commander itself would show a password. */
export function urlOption(flags: string, description: string, parse: (text: string) => unknown): Option {
  return new Option(flags, description).argParser((text) => {
    try {
      return parse(text);
    } catch (error) {
      const fault = `option '${flags}' argument '${shownUrl(text)}' is invalid. ${(error as Error).message}`;
      throw new CommanderError(2, 'stillwater.url', fault);
    }
  });
}

function printClientConfig(client: keyof typeof writers, flags: Flags): void {
  const { config } = loadConfig({ file: flags.config });
  const registries = Object.keys(config.upstreams).filter((name) => name !== '*');
  const mirror = flags.mirror ?? mirrorOf(config);
  const written = writers[client]({ mirror, registries, defaultUpstream: config.defaultUpstream });
  if (flags.json) {
    const { takesComments: _, ...told } = written;
    process.stdout.write(`${JSON.stringify({ client, mirror: mirror.url, ...told }, undefined, 2)}\n`);
    return;
  }
  const lines = prose(written);
  if (!written.takesComments) process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  const comments = written.takesComments ? lines.map((line) => `# ${line}\n`).join('') : '';
  process.stdout.write(comments + written.content);
}

function prose({ path, reload, check, notes }: ClientConfig): string[] {
  return [`where:  ${path}`, `reload: ${reload}`, ...check.map((command) => `check:  ${command}`), ...notes];
}
