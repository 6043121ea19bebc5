// An HTTPS server with a certificate that only those trust who were given it.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { run } from '../support/command.ts';
import { tempDir } from '../support/temp-dir.ts';

export class TlsServer implements AsyncDisposable {
  readonly certificate: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[] = [];
  /** Where requests for `/away` are redirected to. */
  away = '';
  readonly #server: Server;

  private constructor(certificate: string, key: string) {
    this.certificate = certificate;
    this.#server = createServer({ cert: certificate, key }, ({ url = '', headers }, response) => {
      this.requests.push({ path: url, authorization: headers.authorization });
      if (url === '/away') response.writeHead(307, { location: this.away }).end();
      else response.end('hello over TLS');
    });
  }

  static async start(): Promise<TlsServer> {
    await using dir = await tempDir('tls');
    const [key, certificate] = [join(dir.path, 'key.pem'), join(dir.path, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    await run('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', certificate]);
    const server = new TlsServer(await readFile(certificate, 'utf8'), await readFile(key, 'utf8'));
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
