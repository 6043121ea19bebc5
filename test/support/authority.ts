// A certificate authority of the test's own, and the certificates it gives out.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';

export type Certificate = { readonly certFile: string; readonly keyFile: string };

export class Authority {
  readonly certFile: string;
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
    this.certFile = join(dir, 'ca.pem');
  }

  static async create(dir: string): Promise<Authority> {
    await mkdir(dir, { recursive: true });
    const authority = new Authority(dir);
    const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign'];
    const files = ['-keyout', authority.#keyFile, '-out', authority.certFile];
    await run('openssl', [
      'req',
      '-x509',
      ...newKey,
      '-days',
      '2',
      '-subj',
      '/CN=an authority',
      ...extensions,
      ...files,
    ]);
    return authority;
  }

  /** `addresses` are for a server; a client needs none. */
  async issue(commonName: string, addresses: readonly string[] = []): Promise<Certificate> {
    const [keyFile, certFile, request, extensions] = ['key', 'pem', 'csr', 'ext'].map((end) =>
      join(this.#dir, `${commonName}.${end}`),
    ) as [string, string, string, string];
    await run('openssl', ['req', ...newKey, '-subj', `/CN=${commonName}`, '-keyout', keyFile, '-out', request]);
    const names = addresses.map((address) => `IP:${address}`).join(',');
    await writeFile(extensions, names === '' ? 'extendedKeyUsage=clientAuth\n' : `subjectAltName=${names}\n`);
    const signer = ['-CA', this.certFile, '-CAkey', this.#keyFile, '-CAcreateserial', '-days', '2'];
    await run('openssl', ['x509', '-req', '-in', request, ...signer, '-extfile', extensions, '-out', certFile]);
    return { certFile, keyFile };
  }

  get #keyFile(): string {
    return join(this.#dir, 'ca.key');
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
