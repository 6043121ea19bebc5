// `user add`, `user rm` and `user ls`: who may show a password.
import { type Command, CommanderError } from 'commander';
import { hashPassword } from '../access/bcrypt.ts';
import { parseHtpasswd, passwordFault, putUser, removeUser, userNameFault } from '../access/htpasswd.ts';
import { accessFile, editAccessFile, type FileFlags, fileOptions, readAccessFile } from './access-file.ts';
import { askForPassword, readPassword } from './password-input.ts';

interface AddFlags extends FileFlags {
  readonly passwordStdin?: boolean;
}

const [file, config] = fileOptions;

export function addUserCommand(program: Command): void {
  const user = program
    .command('user')
    .description('manage the users of access.htpasswdFile')
    .addHelpText('after', '\nExamples:\n  stillwater user add alice\n  stillwater user rm alice\n  stillwater user ls');
  user
    .command('add <name>')
    .description('add a user, or give one another password')
    .option('--password-stdin', 'read the password from stdin, even on a terminal')
    .option(...file)
    .option(...config)
    .addHelpText(
      'after',
      `
A mirror that runs takes the file as it is from then on.

Examples:
  stillwater user add alice                                  asks for the password
  pass show mirror/alice | stillwater user add alice --file users.htpasswd`,
    )
    .action(add);
  user
    .command('rm <name>')
    .description('remove a user')
    .option(...file)
    .option(...config)
    .action(remove);
  user
    .command('ls')
    .description('list the users, one a line')
    .option(...file)
    .option(...config)
    .action(list);
}

async function add(name: string, flags: AddFlags): Promise<void> {
  const nameFault = userNameFault(name);
  if (nameFault !== undefined) throw new CommanderError(2, 'stillwater.name', nameFault);
  const path = accessFile(flags, 'htpasswdFile');
  const isAsked = process.stdin.isTTY && !flags.passwordStdin;
  const password = isAsked
    ? await askForPassword({ input: process.stdin, output: process.stderr })
    : await readPassword(process.stdin);
  const fault = passwordFault(password);
  if (fault !== undefined) throw new Error(`cannot add ${name}: ${fault}`);
  const hash = await hashPassword(password);
  let isNew = true;
  await editAccessFile(path, (text) => {
    isNew = removeUser(text, name) === undefined;
    return putUser(text, name, hash);
  });
  process.stderr.write(isNew ? `added ${name} to ${path}\n` : `${name} has a new password in ${path}\n`);
}

async function remove(name: string, flags: FileFlags): Promise<void> {
  const path = accessFile(flags, 'htpasswdFile');
  await readAccessFile(path);
  await editAccessFile(path, (text) => {
    const rest = removeUser(text, name);
    if (rest === undefined) throw new Error(`there is no user ${JSON.stringify(name)}; see stillwater user ls`);
    return rest;
  });
  process.stderr.write(`removed ${name} from ${path}\n`);
}

async function list(flags: FileFlags): Promise<void> {
  const path = accessFile(flags, 'htpasswdFile');
  for (const name of usersOf(await readAccessFile(path), path)) process.stdout.write(`${name}\n`);
}

function usersOf(text: string, path: string): Iterable<string> {
  try {
    return parseHtpasswd(text).keys();
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
