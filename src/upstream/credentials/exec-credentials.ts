// Credentials that a command of the operator's own prints.
import { credentialsOf } from './credential-helper.ts';
import { noCredentials } from './login.ts';
import type { PrintedCredentials } from './printed-credentials.ts';
import { runCommand } from './run-command.ts';

/** Throws `UpstreamError` 'login', which names the command but not its arguments: they may hold secrets too. */
export async function runExecCredentials(command: readonly string[], name: string): Promise<PrintedCredentials> {
  try {
    return credentialsOf(command[0] ?? '', await runCommand(command));
  } catch (error) {
    throw noCredentials(name, (error as Error).message);
  }
}
