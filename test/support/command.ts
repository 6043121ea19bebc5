// Runs a program to its end and returns what it said.
import { execFile } from 'node:child_process';
import { toolPath } from './tool.ts';

export type CommandOptions = {
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  readonly cwd?: string;
};

export class CommandFailed extends Error {
  readonly stderr: string;

  constructor(command: string, code: unknown, stderr: string) {
    super(`command failed: ${command}: ${code}\n${stderr.trim()}`);
    this.stderr = stderr;
  }
}

/** Returns stdout; a non-zero exit is a `CommandFailed` with the program's own words. */
export async function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { env, timeoutMs = 120_000, cwd } = options;
  return await new Promise<string>((resolve, reject) => {
    const settings = {
      env: { ...process.env, PATH: toolPath, ...env },
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
      ...(cwd !== undefined && { cwd }),
    };
    const child = execFile(program, [...args], settings, (error, stdout, stderr) => {
      if (error) reject(new CommandFailed([program, ...args].join(' '), error.code ?? error.message, stderr || stdout));
      else resolve(stdout);
    });
    child.stdin?.end();
  });
}
