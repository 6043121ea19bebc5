// Where and when the figures come from: without it they mean nothing.
import { cpus, release, totalmem } from 'node:os';
import { run } from '../../test/support/command.ts';

export type Machine = Readonly<Record<string, string | number>>;

export async function describeMachine(): Promise<Machine> {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    stillwater: (await firstLine('git', ['describe', '--always', '--dirty'])) ?? 'unknown',
    nginx: (await firstLine('sh', ['-c', 'nginx -v 2>&1'])) ?? 'not installed',
    dockerRegistry: (await firstLine('docker-registry', ['--version'])) ?? 'not installed',
    docker: (await firstLine('docker', ['--version'])) ?? 'not installed',
  };
}

async function firstLine(program: string, args: readonly string[]): Promise<string | undefined> {
  const text = await run(program, args).catch(() => undefined);
  return text?.split('\n')[0];
}
