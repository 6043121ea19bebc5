// A stand-in for the Node image of the Dockerfile, made without a registry of images: this Node, npm, busybox.
import { cp, mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './command.ts';
import type { Dockerd } from './dockerd.ts';
import { npm, npmFolder } from './npm.ts';
import { tempDir } from './temp-dir.ts';
import { findTool } from './tool.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const authorities = '/etc/ssl/certs/ca-certificates.crt';
const cache = '/var/cache/npm';

export async function makeNodeImage(dockerd: Dockerd, name: string): Promise<void> {
  await using dir = await tempDir('node-image');
  const root = join(dir.path, 'root');
  for (const folder of ['bin', 'usr/bin', 'usr/local/bin', 'usr/local/lib/node_modules', 'tmp', 'root'])
    await mkdir(join(root, folder), { recursive: true });
  await addNode(root);
  await addBusybox(root);
  await cp(authorities, join(root, authorities), { recursive: true, dereference: true });
  await addCachedPackages(root);
  const tar = join(dir.path, 'root.tar');
  await run('tar', ['-c', '-f', tar, '--owner=0', '--group=0', '-C', root, '.']);
  const variables = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    NODE_EXTRA_CA_CERTS: authorities,
    npm_config_cache: cache,
    npm_config_prefer_offline: 'true',
  };
  const changes = Object.entries(variables).flatMap(([key, value]) => ['--change', `ENV ${key}=${value}`]);
  await dockerd.docker('import', ...changes, tar, name);
}

async function addNode(root: string): Promise<void> {
  await cp(process.execPath, join(root, 'usr/local/bin/node'), { dereference: true });
  const libraries = (await run('ldd', [process.execPath])).matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ''] of libraries) await cp(library, join(root, library), { dereference: true });
  await cp(await npmFolder(), join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
}

async function addBusybox(root: string): Promise<void> {
  const busybox = findTool('busybox');
  if (busybox === undefined) throw new Error('busybox (static) is not installed: images cannot be made');
  await cp(busybox, join(root, 'bin/busybox'), { dereference: true });
  const names = (await run(busybox, ['--list'])).split('\n').filter((name) => name !== '' && name !== 'busybox');
  for (const name of names) await symlink('busybox', join(root, 'bin', name));
  await symlink('/bin/busybox', join(root, 'usr/bin/env'));
}

/** npm finds what it has by its hash: then the build needs no network. What is not here it fetches. */
async function addCachedPackages(root: string): Promise<void> {
  const from = join((await npm(['config', 'get', 'cache'])).trim(), '_cacache');
  const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'));
  const packages = Object.values(lock.packages as Record<string, { readonly integrity?: string }>);
  for (const { integrity = '' } of packages) {
    const hex = Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
    const file = join('content-v2', 'sha512', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
    if (hex === '' || !(await stat(join(from, file)).catch(() => undefined))) continue;
    await mkdir(dirname(join(root, cache, '_cacache', file)), { recursive: true });
    await cp(join(from, file), join(root, cache, '_cacache', file));
  }
}
