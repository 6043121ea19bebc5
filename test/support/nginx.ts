// A real nginx in front of the mirror, with the configuration of examples/nginx but for its ports, paths and names.
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Authority } from './authority.ts';
import { freePort } from './free-port.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

const example = new URL('../../examples/nginx/nginx.conf', import.meta.url);

export type NginxOptions = {
  readonly mirrorPort: number;
  /** What the location of `listen.accel` has. */
  readonly blobs: string;
};

export class Nginx implements AsyncDisposable {
  readonly port: number;
  readonly #dir: TempDir;
  #process: StartedProcess | undefined;

  private constructor(dir: TempDir, port: number) {
    this.#dir = dir;
    this.port = port;
  }

  static async start({ mirrorPort, blobs }: NginxOptions): Promise<Nginx> {
    const dir = await tempDir('nginx');
    const nginx = new Nginx(dir, await freePort());
    const at = (name: string) => join(dir.path, name);
    // Its workers are somebody else.
    await chmod(dir.path, 0o711);
    const authority = await Authority.create(at('authority'));
    await mkdir(nginx.certsDir);
    const { certFile, keyFile } = await authority.issue('mirror', ['127.0.0.1']);
    await copyFile(authority.certFile, nginx.#authorityFile);
    const fitted = fit(await readFile(example, 'utf8'), [
      ['/run/nginx.pid', at('pid')],
      ['/var/log/nginx/error.log', 'stderr'],
      ['/var/log/nginx/access.log combined buffer=64k flush=5s', at('access.log')],
      ['127.0.0.1:5000', `127.0.0.1:${mirrorPort}`],
      ['listen 443 ssl', `listen 127.0.0.1:${nginx.port} ssl`],
      // Not every machine has IPv6.
      ['listen [::]:443 ssl;', ''],
      ['/etc/nginx/tls/mirror.pem', certFile],
      ['/etc/nginx/tls/mirror.key', keyFile],
      ['/var/lib/stillwater/cache/v1/blobs/', `${blobs}/`],
      ['http {', `http {\n${temporaryFolders(dir.path)}`],
    ]);
    await writeFile(at('nginx.conf'), fitted);
    const args = ['-p', dir.path, '-e', 'stderr', '-c', at('nginx.conf'), '-g', 'daemon off;'];
    nginx.#process = new StartedProcess('nginx', 'nginx', args);
    try {
      await nginx.#process.ready(async () => (await readFile(at('pid'), 'utf8')) !== '');
    } catch (error) {
      await dir.remove();
      throw error;
    }
    return nginx;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Where skopeo finds `ca.crt`. */
  get certsDir(): string {
    return join(this.#dir.path, 'trusted');
  }

  get authority(): Promise<Buffer> {
    return readFile(this.#authorityFile);
  }

  get #authorityFile(): string {
    return join(this.certsDir, 'ca.crt');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop();
    await this.#dir.remove();
  }
}

/** What is not in the example as it stands there is no longer the example. */
function fit(text: string, replacements: readonly (readonly [string, string])[]): string {
  return replacements.reduce((fitted, [from, to]) => {
    if (fitted.split(from).length !== 2) throw new Error(`examples/nginx/nginx.conf has not exactly one: ${from}`);
    return fitted.replace(from, () => to);
  }, text);
}

function temporaryFolders(dir: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${dir}/${name};`)
    .join('\n');
}
