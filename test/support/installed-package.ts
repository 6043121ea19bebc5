// The package as npm packs it, installed into an empty folder with the versions that the project's own lock file names.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './command.ts';
import { npm } from './npm.ts';
import { type TempDir, tempDir } from './temp-dir.ts';
import { toolPath } from './tool.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];

type Locked = Readonly<Record<string, unknown>> & { readonly dev?: boolean };

export class InstalledPackage implements AsyncDisposable {
  readonly #dir: TempDir;
  /** Every file of the package, from its root. */
  readonly files: readonly string[];

  private constructor(dir: TempDir, files: readonly string[]) {
    this.#dir = dir;
    this.files = files;
  }

  static async create(): Promise<InstalledPackage> {
    const dir = await tempDir('package');
    try {
      const printed = await npm(['pack', '--json', '--pack-destination', dir.path], { cwd: project });
      const { filename, files } = onlyOf<{ filename: string; files: { path: string }[] }>(printed);
      await writeConsumer(dir.path, filename);
      // From the lock file all content is known by its hash, so that npm's cache alone does where there is no network.
      await npm(['ci', ...quiet], { cwd: dir.path });
      return new InstalledPackage(
        dir,
        files.map(({ path }) => path),
      );
    } catch (error) {
      await dir.remove();
      throw error;
    }
  }

  get path(): string {
    return this.#dir.path;
  }

  /** The link that npm made for the command. */
  get program(): string {
    return join(this.path, 'node_modules', '.bin', 'stillwater');
  }

  /** `npx stillwater …`, on the Node of that folder if one is given. */
  async npx(args: readonly string[], nodeFolder?: string): Promise<string> {
    return await run('npx', ['--offline', 'stillwater', ...args], { cwd: this.path, env: pathWith(nodeFolder) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir.remove();
  }
}

/** The folder of that Node's binary, installed below `dir`. */
export async function installNode(dir: string, version: string): Promise<string> {
  const name = `node-linux-${process.arch}`;
  const prefix = join(dir, `node-${version}`);
  await npm(['install', ...quiet, '--prefix', prefix, `${name}@${version}`]);
  return join(prefix, 'node_modules', name, 'bin');
}

export function pathWith(folder: string | undefined): NodeJS.ProcessEnv {
  return folder === undefined ? {} : { PATH: `${folder}:${toolPath}` };
}

async function writeConsumer(dir: string, tarball: string): Promise<void> {
  const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'));
  const { '': own, ...others } = lock.packages as Record<string, Locked>;
  const { name: _, devDependencies: __, ...declared } = own ?? {};
  const consumer = { name: 'consumer', version: '1.0.0', dependencies: { stillwater: `file:${tarball}` } };
  const packages = {
    '': consumer,
    'node_modules/stillwater': { ...declared, resolved: `file:${tarball}` },
    ...Object.fromEntries(Object.entries(others).filter(([, { dev }]) => dev !== true)),
  };
  const { lockfileVersion } = lock;
  await writeFile(join(dir, 'package.json'), JSON.stringify(consumer));
  await writeFile(
    join(dir, 'package-lock.json'),
    JSON.stringify({ name: 'consumer', lockfileVersion, requires: true, packages }),
  );
}

/** npm before 12 prints a list, later an object by name; before either may stand what `prepack` said. */
function onlyOf<T>(printed: string): T {
  const json = JSON.parse(printed.slice(printed.search(/^[[{]/m)));
  return Object.values(json)[0] as T;
}
