// `serve`: runs the mirror until a signal ends it. Logs go to stdout, what a person wants to know to stderr.
import type { Command } from 'commander';
import type { App, startApp } from '../app.ts';
import type { Override } from '../config/environment.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';

interface Flags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: string;
  readonly cacheDir?: string;
  readonly cacheMaxSize?: string;
  readonly logLevel?: string;
}

export function addServeCommand(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('run the mirror (the default command)')
    .option('--config <file>', 'the configuration (default: STILLWATER_CONFIG, else ./config.json if it exists)')
    .option('--host <host>', 'the address to listen on (default: 0.0.0.0)')
    .option('--port <number>', 'the port to listen on (default: 5000)')
    .option('--cache-dir <dir>', 'the directory of the cache (default: ./cache)')
    .option('--cache-max-size <size>', 'what the cache may take, such as 50GiB or 80% of the disk (default: 80%)')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (default: info)')
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Flags count for more than STILLWATER_ variables, and these for more than the file. SIGHUP reads it again.

Examples:
  stillwater serve
  stillwater serve --config /etc/stillwater/config.json
  stillwater --port 5001 --cache-dir /var/cache/stillwater --cache-max-size 200GiB`,
    )
    .action(async (flags: Flags) => {
      const { file } = loadServeConfig(flags);
      // A file that was there at the start and is gone would else be the defaults.
      const load = () => loadServeConfig(file === undefined ? flags : { ...flags, config: file });
      // Loaded late, so that help and configuration errors come at once.
      const { startApp } = await import('../app.ts');
      await serve(load, startApp);
    });
}

/** Resolves when a signal has stopped the app; a second signal ends the process at once, and SIGHUP reloads. */
export async function serve(load: () => LoadedConfig, start: typeof startApp): Promise<void> {
  const { config, file } = load();
  const stopAsked = Promise.withResolvers<void>();
  let isStopping = false;
  const onStop = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    stopAsked.resolve();
  };
  process.on('SIGTERM', onStop).on('SIGINT', onStop);
  const started = Promise.withResolvers<App>();
  process.on('SIGHUP', () => void started.promise.then((app) => app.reload()));

  const app = await start(config, { load, file });
  started.resolve(app);
  if (!isStopping) printWelcome(app);
  await stopAsked.promise;
  await app.stop();
  process.exit(0);
}

function loadServeConfig(flags: Flags): LoadedConfig {
  const table: readonly [string, readonly string[], string | undefined][] = [
    ['--host', ['listen', 'host'], flags.host],
    ['--port', ['listen', 'port'], flags.port],
    ['--cache-dir', ['cache', 'dir'], flags.cacheDir],
    ['--cache-max-size', ['cache', 'maxSize'], flags.cacheMaxSize],
    ['--log-level', ['log', 'level'], flags.logLevel],
  ];
  const overrides = table.flatMap(([origin, path, text]): Override[] =>
    text === undefined ? [] : [{ origin, path, text }],
  );
  return loadConfig({ file: flags.config, flags: overrides, isTerminal: process.stdout.isTTY });
}

function printWelcome({ registryUrl, adminUrl }: App): void {
  // An address that means "all of them" is none that a client can dial.
  const mirror = registryUrl.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//127.0.0.1').replace(/\/$/, '');
  print(`Stillwater is listening on ${registryUrl}`);
  print(`For Docker, put this into /etc/docker/daemon.json and reload it: {"registry-mirrors": ["${mirror}"]}`);
  if (adminUrl !== undefined) print(`Its admin listener is on ${adminUrl}`);
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}
