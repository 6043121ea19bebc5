// Issues the RS256 tokens that a real distribution registry accepts: pull for anybody, push for one user.
import { randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { basic } from './fake-token-server.ts';
import { RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type Pusher = { readonly username: string; readonly password: string };

const issuer = 'stillwater-test-issuer';
const service = 'stillwater-test-registry';

export class TokenServer implements AsyncDisposable {
  readonly server: RecordedServer;
  readonly #certFile: string;

  private constructor(server: RecordedServer, certFile: string) {
    this.server = server;
    this.#certFile = certFile;
  }

  /** `dir` receives the key and the self-signed certificate. */
  static async start(dir: string, pusher: Pusher): Promise<TokenServer> {
    const [keyFile, certFile] = [join(dir, 'token-key.pem'), join(dir, 'token-cert.pem')];
    const files = ['-keyout', keyFile, '-out', certFile];
    await run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test',
      ...files,
    ]);
    const key = await readFile(keyFile, 'utf8');
    const x5c = [new X509Certificate(await readFile(certFile)).raw.toString('base64')];
    const server = await RecordedServer.start({
      kindOf: () => 'token',
      handle: async (exchange) => {
        const isPusher = exchange.request.headers.authorization === basic(pusher.username, pusher.password);
        const scopes = exchange.url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
        const access = scopes.filter(Boolean).map((scope) => granted(scope, isPusher));
        const token = jwt({ key, x5c, access });
        const content = contentOf(JSON.stringify({ token, expires_in: 300, issued_at: new Date().toISOString() }));
        await sendReply(exchange, { headers: { 'content-type': 'application/json' }, content });
      },
    });
    return new TokenServer(server, certFile);
  }

  /** The `auth.token` section of the registry's configuration. */
  get registryConfig(): object {
    return { realm: `${this.server.url}/token`, service, issuer, rootcertbundle: this.#certFile };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}

type Access = { readonly type: string; readonly name: string; readonly actions: string[] };

/** The name itself may hold colons (a host with a port in front of it). */
function granted(scope: string, isPusher: boolean): Access {
  const [type = '', ...rest] = scope.split(':');
  const asked = rest.pop()?.split(',') ?? [];
  return { type, name: rest.join(':'), actions: asked.filter((action) => isPusher || action === 'pull') };
}

function jwt({ key, x5c, access }: { key: string; x5c: string[]; access: Access[] }): string {
  const now = Math.floor(Date.now() / 1000);
  const header = { typ: 'JWT', alg: 'RS256', x5c };
  const times = { iat: now, nbf: now - 60, exp: now + 300 };
  const claims = { iss: issuer, aud: service, sub: '', jti: randomUUID(), ...times, access };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}
