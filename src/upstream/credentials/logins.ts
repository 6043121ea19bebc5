// The logins of one upstream, from what its configuration says of credentials.
import type { Log } from '../../observe/log.ts';
import { askCredentialHelper } from './credential-helper.ts';
import type { CredentialsSetting } from './credentials.ts';
import { DockerConfigLogin } from './docker-config-login.ts';
import { runExecCredentials } from './exec-credentials.ts';
import { KeptCredentials } from './kept-credentials.ts';
import { anonymous, fixedLogin, type Login } from './login.ts';

export interface LoginsOptions {
  /** The registry's host as users write it: how helpers and config files know it. */
  readonly name: string;
  readonly log: Log;
}

/** At least one. Nothing is read or run before the first question. */
export function openLogins(setting: CredentialsSetting | undefined, { name, log }: LoginsOptions): readonly Login[] {
  if (setting === undefined) return [anonymous];
  if ('length' in setting) return setting.map((credentials, place) => fixedLogin(String(place + 1), credentials));
  if ('username' in setting) return [fixedLogin('1', setting)];
  const options = { id: '1', name, log };
  const openHelper = (helper: string) =>
    new KeptCredentials({ ...options, fetch: () => askCredentialHelper(helper, name) });
  if ('helper' in setting) return [openHelper(setting.helper)];
  if ('dockerConfig' in setting) return [new DockerConfigLogin({ ...options, path: setting.dockerConfig, openHelper })];
  return [new KeptCredentials({ ...options, fetch: () => runExecCredentials(setting.exec, name) })];
}
