// Docker's credential helpers: https://github.com/docker/docker-credential-helpers#development
import { noCredentials } from './login.ts';
import { type PrintedCredentials, parsePrintedCredentials } from './printed-credentials.ts';
import { type CommandResult, runCommand } from './run-command.ts';

/** `undefined`: it knows none for this registry. Throws `UpstreamError` 'login'. */
export async function askCredentialHelper(helper: string, name: string): Promise<PrintedCredentials | undefined> {
  // A part of a file name, and nothing that leads elsewhere.
  if (!/^[A-Za-z0-9._-]+$/.test(helper)) throw noCredentials(name, 'a credential helper has an impossible name');
  const command = `docker-credential-${helper}`;
  try {
    const { exitCode, output } = await runCommand([command, 'get'], { input: serverAddress(name) });
    if (exitCode !== 0 && /credentials not found/i.test(output)) return undefined;
    return credentialsOf(command, { exitCode, output });
  } catch (error) {
    throw noCredentials(name, (error as Error).message);
  }
}

/** Docker Hub keeps the address that it had in the days of the first protocol. */
export function serverAddress(name: string): string {
  return name === 'docker.io' ? 'https://index.docker.io/v1/' : name;
}

/** Throws an `Error` that names the command and quotes nothing of what it printed. */
export function credentialsOf(command: string, { exitCode, output }: CommandResult): PrintedCredentials {
  if (exitCode !== 0) throw new Error(`${command} ended with exit code ${exitCode}`);
  try {
    return parsePrintedCredentials(output);
  } catch (error) {
    throw new Error(`${command} ${(error as Error).message}`);
  }
}
