// One GET: what is trusted, and how much is read.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ask, type Place, whyNot } from '../../../src/cli/doctor/ask.ts';
import { run } from '../../support/command.ts';
import { tempDir } from '../../support/temp-dir.ts';

const options = { signal: AbortSignal.timeout(20_000) };

async function listening(server: Server, scheme = 'http') {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, [Symbol.dispose]: stop };
}

/** With a certificate of its own for a name that it is not asked by. */
async function tlsServer() {
  await using dir = await tempDir('ask');
  const [keyFile, certFile] = [join(dir.path, 'key.pem'), join(dir.path, 'cert.pem')];
  const subject = ['-subj', '/CN=mirror.example', '-addext', 'subjectAltName=DNS:mirror.example'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await run('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', keyFile, '-out', certFile]);
  const [key, cert] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certFile, 'utf8')]);
  const server = createTlsServer({ key, cert }, (_request, response) => response.end('over TLS'));
  return Object.assign(await listening(server, 'https'), { cert });
}

describe('TLS', () => {
  const why = (place: Place) => ask(place, '/', options).then(({ body }) => body.toString(), whyNot);

  test('is trusted with the certificate that is known, under its name', async () => {
    using server = await tlsServer();
    const { url, cert: ca } = server;
    expect(await why({ url, ca, isNameChecked: false })).toBe('over TLS');
    expect(await why({ url, ca })).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await why({ url, isNameChecked: false })).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  });
});

test('what never ends is read to a limit', async () => {
  const piece = Buffer.alloc(1024 * 1024);
  using server = await listening(
    createServer((_request, response) => {
      const write = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', write).on('error', () => {});
      write();
    }),
  );
  expect((await ask(server, '/', options)).body.length).toBe(4 * 1024 * 1024);
});

test('goes below the path of the address', async () => {
  using server = await listening(createServer((request, response) => response.end(request.url)));
  const url = new URL('/hub/', server.url);
  expect((await ask({ url }, '/v2/', options)).body.toString()).toBe('/hub/v2/');
});

test('says what was waited for in vain', async () => {
  using server = await listening(createServer(() => {}));
  const error = await ask(server, '/', { signal: AbortSignal.timeout(1) }).catch((cause) => cause);
  expect(whyNot(error)).toBe('it did not answer in time');
});
