// An authority that exists for one test file, and the certificates that it gives to servers and clients.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pems } from '../../src/http/tls.ts';
import { run } from '../support/command.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

export class Authority implements AsyncDisposable {
  readonly certificate: string;
  readonly #dir: TempDir;
  #issued = 0;

  private constructor(dir: TempDir, certificate: string) {
    this.#dir = dir;
    this.certificate = certificate;
  }

  static async create(name = 'an authority'): Promise<Authority> {
    const dir = await tempDir('authority');
    const { cert } = await create(dir.path, 'ca', ['-subj', `/CN=${name}`]);
    return new Authority(dir, cert);
  }

  /** The subject as openssl has it: `/CN=ci`. */
  client(subject: string): Promise<Pems> {
    return this.#issue(['-subj', subject, '-addext', 'extendedKeyUsage=clientAuth']);
  }

  server(): Promise<Pems> {
    const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
    return this.#issue(['-subj', '/CN=localhost', '-addext', names, '-addext', 'extendedKeyUsage=serverAuth']);
  }

  #issue(options: readonly string[]): Promise<Pems> {
    const { path } = this.#dir;
    const by = ['-CA', join(path, 'ca.crt'), '-CAkey', join(path, 'ca.key'), '-addext', 'basicConstraints=CA:FALSE'];
    this.#issued += 1;
    return create(path, `leaf-${this.#issued}`, [...by, ...options]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dir.remove();
  }
}

async function create(dir: string, name: string, options: readonly string[]): Promise<Pems> {
  const [keyFile, certFile] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  await run('openssl', ['req', '-x509', ...curve, '-utf8', ...options, '-keyout', keyFile, '-out', certFile]);
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { cert, key };
}
