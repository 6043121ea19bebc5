// From flags, environment, file and defaults, in this order of precedence, to one checked configuration.
import { ConfigError } from './config-error.ts';
import { FILE_VARIABLE, type Override, readEnvironment } from './environment.ts';
import { type ConfigFile, readConfigFile } from './file.ts';
import { Given } from './given.ts';
import { valueAt } from './keys.ts';
import { describeIssue } from './problems.ts';
import { type Config, configSchema } from './schema.ts';
import { findUnbuilt } from './unbuilt.ts';

export interface LoadOptions {
  /** The file that --config names; else STILLWATER_CONFIG does, else ./config.json is read if it is there. */
  readonly file?: string | undefined;
  readonly flags?: readonly Override[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Whether people read the log as it is written: then its format is "pretty" unless one is given. */
  readonly isTerminal?: boolean;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, as it was named. */
  readonly file: string | undefined;
}

/** Throws one ConfigError that names everything that is wrong. */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const { env = process.env, cwd = process.cwd(), flags = [], isTerminal = false } = options;
  const file = readConfigFile(options.file ?? (env[FILE_VARIABLE] || undefined), cwd);
  const upstreamNames = knownUpstreams(file);
  const environment = readEnvironment(env, upstreamNames);
  const given = new Given(file, [...environment.overrides, ...flags], { env, cwd });

  const problems = [...environment.problems, ...given.problems];
  const config = check(given, upstreamNames, problems);
  if (!config || problems.length > 0) throw new ConfigError(problems.join('; '));

  const refusals = findUnbuilt(config, defaultConfig());
  if (refusals.length > 0) {
    throw new ConfigError(refusals.map(({ path, message }) => `${given.originOf(path)}: ${message}`).join('; '));
  }
  const isFormatGiven = valueAt(given.values, ['log', 'format']) !== undefined;
  const format = isTerminal && !isFormatGiven ? 'pretty' : config.log.format;
  return { config: { ...config, log: { ...config.log, format } }, file: file?.name };
}

/** What no file, variable or flag has touched. */
export function defaultConfig(): Config {
  return withoutSchemaName(configSchema.parse({}));
}

function check(given: Given, upstreamNames: readonly string[], problems: string[]): Config | undefined {
  const checked = configSchema.safeParse(given.values);
  if (checked.success) return withoutSchemaName(checked.data);
  const found = checked.error.issues.flatMap((issue) =>
    describeIssue(issue, {
      valueAt: (path) => valueAt(given.values, path),
      isReferred: (path) => given.isReferred(path),
      upstreamNames,
    }),
  );
  for (const { path, message } of found) {
    if (!given.isBroken(path)) problems.push(`${given.originOf(path)}: ${message}`);
  }
  return undefined;
}

function knownUpstreams(file: ConfigFile | undefined): string[] {
  const given = file?.content.upstreams;
  const names = typeof given === 'object' && given !== null ? Object.keys(given) : [];
  return [...new Set([...Object.keys(defaultConfig().upstreams), ...names])];
}

function withoutSchemaName({ $schema: _, ...config }: ReturnType<typeof configSchema.parse>): Config {
  return config;
}
