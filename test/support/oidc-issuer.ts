// An OpenID Connect issuer of the tests' own: discovery, keys that rotate, and tokens of whatever content.
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type IssuerKey = { readonly kid: string; readonly alg: string; readonly secret: CryptoKey; readonly jwk: JWK };

export type TokenOptions = {
  /** Changes to the claims; `undefined` takes one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Changes to the header; `undefined` takes one out. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** The newest of the issuer's if not given. */
  readonly key?: IssuerKey | undefined;
};

export class OidcIssuer implements AsyncDisposable {
  readonly server: RecordedServer;
  /** What it calls itself in its documents and tokens. */
  readonly name: string;
  /** What it publishes: the newest last. */
  keys: readonly IssuerKey[] = [];
  /** Besides the keys, as they are. */
  oddKeys: readonly object[] = [];
  /** Changes to the discovery document. */
  lies: Readonly<Record<string, unknown>> = {};

  private constructor(server: RecordedServer, name: string) {
    this.server = server;
    this.name = name;
  }

  /** With one key. Asked at its own address, whatever it calls itself. */
  static async start({ name, alg = 'ES256' }: { name?: string; alg?: string } = {}): Promise<OidcIssuer> {
    const server = await RecordedServer.start({
      kindOf: () => 'other',
      handle: (exchange) => {
        const documents: Record<string, unknown> = {
          '/.well-known/openid-configuration': issuer.discovery,
          '/keys': { keys: [...issuer.oddKeys, ...issuer.keys.map(({ jwk }) => jwk)] },
        };
        const document = documents[exchange.url.pathname];
        if (document === undefined) return sendReply(exchange, { status: 404 });
        const content = contentOf(JSON.stringify(document));
        return sendReply(exchange, { headers: { 'content-type': 'application/json' }, content });
      },
    });
    const issuer: OidcIssuer = new OidcIssuer(server, name ?? server.url);
    issuer.keys = [await makeKey(alg)];
    return issuer;
  }

  get discovery(): object {
    return { issuer: this.name, jwks_uri: `${this.name}/keys`, ...this.lies };
  }

  /** The old keys are gone at once. */
  async rotate(alg = 'ES256'): Promise<void> {
    this.keys = [await makeKey(alg)];
  }

  /** Issued for `mirror` to `ci` at the moment, in seconds since the epoch, and good for five minutes, if not changed. */
  token(atSeconds: number, { claims, header, key = this.keys.at(-1) }: TokenOptions = {}): Promise<string> {
    if (!key) throw new Error('the issuer has no key to sign with');
    const usual = { iss: this.name, aud: 'mirror', sub: 'ci', iat: atSeconds, exp: atSeconds + 300 };
    return new SignJWT({ ...usual, ...claims } as JWTPayload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
      .sign(key.secret);
  }

  /** How often it was asked for its keys. */
  get keyRequests(): number {
    return this.server.count({ path: '/keys' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}

let made = 0;

export async function makeKey(alg: string): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  made += 1;
  const kid = `key-${made}`;
  return { kid, alg, secret: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}
