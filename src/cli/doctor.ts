// `doctor`: looks at everything that a pull depends on, from here, and says of each thing what to do about it.
import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/load.ts';
import { parseImageName } from '../oci/image-name.ts';
import { printable } from './amounts.ts';
import { mirrorOption, urlOption } from './client-config.ts';
import type { MirrorAddress } from './client-configs/mirror-address.ts';
import { type Finding, runChecks } from './doctor/finding.ts';

interface Flags {
  readonly image?: string;
  readonly mirror?: MirrorAddress;
  readonly admin?: URL;
  readonly config?: string;
  readonly json?: true;
}

const checkMs = 25_000;

const help = `
Marks: ok; warn: works, and could be better; FAIL: a pull fails of it, or soon will; -: nothing to look at here.
It exits with 1 if anything failed. Upstreams are looked at from this machine, with this configuration.

Examples:
  stillwater doctor
  stillwater doctor --image docker.io/library/busybox:latest
  stillwater doctor --config /etc/stillwater/config.json --json`;

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('check mirror, upstreams, credentials, disk, clock and dockerd from here, and say what to do')
    .option('--image <image>', 'pull this through the mirror, and hash every byte', parseImage)
    .addOption(mirrorOption('the mirror to look at (default: the one of the configuration, on this machine)'))
    .addOption(urlOption('--admin <url>', 'its admin listener (default: as admin has it)', parseAdmin))
    .option('--config <file>', 'the configuration (default: STILLWATER_CONFIG, else ./config.json if it exists)')
    .option('--json', 'print {findings} instead')
    .addHelpText('after', help)
    .action(runDoctor);
}

async function runDoctor(flags: Flags): Promise<void> {
  const { config } = loadConfig({ file: flags.config });
  // Loaded late, so that other commands start sooner.
  const { checksOf } = await import('./doctor/checks.ts');
  const findings: Finding[] = [];
  const onFinding = (finding: Finding) => {
    findings.push(finding);
    if (!flags.json) process.stdout.write(lineOf(finding));
  };
  await runChecks(await checksOf(config, flags), { timeoutMs: checkMs, onFinding });
  if (flags.json) process.stdout.write(`${JSON.stringify({ findings }, undefined, 2)}\n`);
  const failed = findings.filter(({ mark }) => mark === 'fail').length;
  if (failed > 0) throw new Error(`${failed} of ${findings.length} checks failed: see above`);
}

const marks = { ok: 'ok', warn: 'warn', fail: 'FAIL', skip: '-' };

function lineOf({ check, mark, what, remedy }: Finding): string {
  const line = `${marks[mark].padEnd(4)}  ${check}: ${printable(what)}\n`;
  return remedy === undefined ? line : `${line}      -> ${printable(remedy)}\n`;
}

function parseImage(text: string): string {
  try {
    parseImageName(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`It is ${(error as Error).message}.`);
  }
}

function parseAdmin(text: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:\/\//i.test(text)) return url;
  throw new Error('Write it as http://127.0.0.1:5001.');
}
