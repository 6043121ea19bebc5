// Which mirror a command asks: the one of --admin, else the one that the configuration describes.
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { variableName } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Layout } from '../store/layout.ts';
import { lockDirectory } from '../store/lock.ts';
import { AdminClient } from './admin-client.ts';
import { shownUrl } from './shown-url.ts';

export interface AdminFlags {
  readonly admin?: string;
  readonly config?: string;
}

const tokenVariable = variableName(['admin', 'token']);

export function addAdminOptions(command: Command): Command {
  return command
    .option('--admin <url>', 'the admin listener to ask (default: the one of the configuration, http://127.0.0.1:5001)')
    .option('--config <file>', 'the configuration (default: STILLWATER_CONFIG, else ./config.json if it exists)');
}

/** `hasDirectory`: whether the command can also open a cache that no mirror holds. */
export function adminClient(flags: AdminFlags, { hasDirectory = false } = {}): AdminClient {
  if (flags.admin !== undefined) return named(flags.admin, flags.config);
  const { config } = loadConfig({ file: flags.config });
  const advice = () => `start one, or give --admin URL${hasDirectory ? directoryAdvice(config) : ''}`;
  if (config.admin === null) throw new ConfigError(`admin is null: the mirror has no listener to ask; ${advice()}`);
  const { host, port, token } = config.admin;
  if (port === 0) throw new ConfigError('admin.port is 0: nobody knows where it listens; give --admin URL');
  return new AdminClient({ url: urlOf(host, port), authorization: bearer(token), advice });
}

/** The token of a file that was not asked for is not shown to an address that was. */
function named(text: string, file: string | undefined): AdminClient {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new ConfigError(
      `--admin: found ${JSON.stringify(shownUrl(text))}, allowed is a URL such as http://127.0.0.1:5001`,
    );
  const { username, password } = url;
  const advice = () => 'start one there, or give another --admin URL';
  if (username !== '' || password !== '') {
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return new AdminClient({ url, authorization: `Basic ${Buffer.from(login).toString('base64')}`, advice });
  }
  const token =
    process.env[tokenVariable] || (file === undefined ? undefined : loadConfig({ file }).config.admin?.token);
  return new AdminClient({ url, authorization: bearer(token), advice });
}

function bearer(token: string | undefined): string | undefined {
  return token === undefined ? undefined : `Bearer ${token}`;
}

/** An address that means "all of them" is none that one can dial. */
function urlOf(host: string, port: number): URL {
  const dialled = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`http://${dialled.includes(':') ? `[${dialled}]` : dialled}:${port}`);
}

function directoryAdvice({ cache }: Config): string {
  const { lock } = new Layout(cache.dir);
  try {
    lockDirectory(lock, cache.dir).release();
    return `, or work on its directory with --cache-dir ${cache.dir}`;
  } catch {
    return '';
  }
}
