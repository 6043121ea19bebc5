// `token create`, `token rm` and `token ls`: named tokens for programs.
import { type Command, CommanderError } from 'commander';
import { readLastUses } from '../access/last-uses.ts';
import { formatTokenFile, parseTokenFile, type TokenRecord, tokenNameFault } from '../access/token-file.ts';
import { newTokenText, tokenHash } from '../access/tokens.ts';
import { globObjection } from '../config/access-problems.ts';
import { parseDuration } from '../config/units.ts';
import { accessFile, editAccessFile, type FileFlags, fileOptions, readAccessFile } from './access-file.ts';
import { tokenLines } from './token-lines.ts';

interface CreateFlags extends FileFlags {
  readonly scope?: readonly string[];
  readonly expires?: string;
}

interface ListFlags extends FileFlags {
  readonly json?: boolean;
}

const [file, config] = fileOptions;
const longestLifeMs = 100 * 365 * 86_400_000;

export function addTokenCommand(program: Command): void {
  const token = program
    .command('token')
    .description('manage the tokens of access.tokensFile')
    .addHelpText(
      'after',
      '\nExamples:\n  stillwater token create ci --expires 90d\n  stillwater token rm ci\n  stillwater token ls',
    );
  token
    .command('create <name>')
    .description('make a token and print it, this once')
    .option(
      '--scope <glob>',
      'what it is good for, such as "docker.io/acme/**"; may be repeated (default: all)',
      collect,
    )
    .option('--expires <time>', 'how long it is good for, such as 30d (default: for ever)')
    .option(...file)
    .option(...config)
    .addHelpText(
      'after',
      `
A client shows it as a password, with any user name.

Examples:
  stillwater token create ci
  stillwater token create team-a --scope "docker.io/acme/**" --scope "ghcr.io/acme/*" --expires 30d`,
    )
    .action(create);
  token
    .command('rm <name>')
    .description('remove a token')
    .option(...file)
    .option(...config)
    .action(remove);
  token
    .command('ls')
    .description('list the tokens: scopes, expiry, last use')
    .option('--json', 'as JSON')
    .option(...file)
    .option(...config)
    .action(list);
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const record = { name, ...lifeOf(flags) };
  const fault = tokenNameFault(name) ?? flags.scope?.map(scopeFault).find((each) => each !== undefined);
  if (fault !== undefined) throw usageFault(fault);
  const path = accessFile(flags, 'tokensFile');
  const text = newTokenText();
  const token: TokenRecord = { ...record, sha256: tokenHash(text), ...(flags.scope && { scopes: flags.scope }) };
  await editAccessFile(path, (before) => {
    const others = before === '' ? [] : parseTokenFile(before);
    if (others.some((other) => other.name === name))
      throw new Error(`there is a token ${JSON.stringify(name)} already; remove it first, or choose another name`);
    return formatTokenFile([...others, token]);
  });
  process.stderr.write(`added ${name} to ${path}; the token is shown this once, use it as a password:\n`);
  process.stdout.write(`${text}\n`);
}

async function remove(name: string, flags: FileFlags): Promise<void> {
  const path = accessFile(flags, 'tokensFile');
  await readAccessFile(path);
  await editAccessFile(path, (text) => {
    const tokens = parseTokenFile(text);
    const others = tokens.filter((token) => token.name !== name);
    if (others.length < tokens.length) return formatTokenFile(others);
    throw new Error(`there is no token ${JSON.stringify(name)}; see stillwater token ls`);
  });
  process.stderr.write(`removed ${name} from ${path}\n`);
}

async function list(flags: ListFlags): Promise<void> {
  const path = accessFile(flags, 'tokensFile');
  const tokens = tokensOf(await readAccessFile(path), path);
  const uses = await readLastUses(path);
  const listed = tokens.map(({ name, scopes, createdAt, expiresAt }) => {
    const usedAt = uses.get(name);
    // A use before that was of an earlier token of this name.
    const isOwn = usedAt !== undefined && usedAt >= Date.parse(createdAt);
    const lastUsedAt = isOwn ? new Date(usedAt).toISOString() : null;
    return { name, scopes: scopes ?? null, createdAt, expiresAt: expiresAt ?? null, lastUsedAt };
  });
  const lines = flags.json ? [JSON.stringify(listed, undefined, 2)] : tokenLines(listed, Date.now());
  for (const line of lines) process.stdout.write(`${line}\n`);
}

function tokensOf(text: string, path: string): readonly TokenRecord[] {
  try {
    return parseTokenFile(text);
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

function lifeOf({ expires }: CreateFlags): Pick<TokenRecord, 'createdAt' | 'expiresAt'> {
  const now = Date.now();
  const createdAt = new Date(now).toISOString();
  if (expires === undefined) return { createdAt };
  const lifeMs = parseDuration(expires) ?? 0;
  if (lifeMs <= 0)
    throw usageFault(`--expires: found ${JSON.stringify(expires)}, allowed is a time such as "12h" or "30d"`);
  if (lifeMs > longestLifeMs) throw usageFault('--expires: that is more than 100 years; leave it out');
  return { createdAt, expiresAt: new Date(now + lifeMs).toISOString() };
}

function scopeFault(glob: string): string | undefined {
  const [registry = ''] = glob.split('/');
  const found = `--scope: found ${JSON.stringify(glob)}`;
  if (glob === '' || /[\s\p{Cc}]/u.test(glob)) return `${found}, allowed is a glob such as "docker.io/acme/**"`;
  // Names without a registry are docker.io's for people, but no scope would ever match them.
  if (glob.includes('/') && !/[.:*]/.test(registry) && registry !== 'localhost')
    return `${found}, which begins with no registry; write "docker.io/${glob}"`;
  const allowed = globObjection(glob, ['*']);
  return allowed && `${found}, allowed is ${allowed}`;
}

function usageFault(message: string): CommanderError {
  return new CommanderError(2, 'stillwater.usage', message);
}

function collect(glob: string, before: readonly string[] = []): readonly string[] {
  return [...before, glob];
}
