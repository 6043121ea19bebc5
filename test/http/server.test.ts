// A listening server: what it says when it cannot listen, TLS, and how it stops without breaking an answer.
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { request as requestTls } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { startServer } from '../../src/http/server.ts';
import { freePort } from '../support/free-port.ts';
import { Gate } from '../support/gate.ts';
import { tempDir } from '../support/temp-dir.ts';
import { ask, sendRaw } from './start-registry.ts';

const local = { host: '127.0.0.1', port: 0, idleMs: 120_000, maxConnections: 100 };

function app(gate?: Gate) {
  const hono = new Hono<{ Bindings: HttpBindings }>();
  hono.get('/', async (context) => {
    await gate?.pass();
    return context.text('done');
  });
  return hono;
}

/** Resolves once nobody accepts connections there any more. */
async function refusal(url: string): Promise<string> {
  for (;;) {
    const code = await new Promise<string | undefined>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    if (code !== undefined) return code;
  }
}

describe('a server that cannot listen says', () => {
  test('which port is in use, and what to do', async () => {
    const blocker = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve));
    await expect(startServer(app(), { ...local, port })).rejects.toThrow(
      `cannot listen on 127.0.0.1 port ${port}: another program uses it; stop that one or choose another port`,
    );
    blocker.close();
  });

  test('which address this machine does not have', async () => {
    await expect(startServer(app(), { ...local, host: '192.0.2.1' })).rejects.toThrow(
      'cannot listen on 192.0.2.1 port 0: this machine has no such address',
    );
  });

  test('the reason of the system for a host without an address', async () => {
    await expect(startServer(app(), { ...local, host: 'no.such.host.invalid' })).rejects.toThrow(
      /^cannot listen on no\.such\.host\.invalid port 0: .*ENOTFOUND|EAI_AGAIN/,
    );
  });
});

describe('a listening server', () => {
  test('tells the port it was given', async () => {
    const server = await startServer(app(), local);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d{2,5}$/);
    expect((await ask(server.url, '/')).body.toString()).toBe('done');
    await server.stop(0);
  });

  test('puts an IPv6 address into brackets', async () => {
    const server = await startServer(app(), { ...local, host: '::1' });
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    await server.stop(0);
  });

  test('refuses a head above 32 KiB', async () => {
    const server = await startServer(app(), local);
    const answer = await sendRaw(server.url, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    await server.stop(0);
  });

  test('takes no more connections than it may', async () => {
    const gate = new Gate();
    const server = await startServer(app(gate), { ...local, idleMs: 120_000, maxConnections: 1 });
    const first = ask(server.url, '/');
    await gate.reached;
    await expect(ask(server.url, '/')).rejects.toThrow();
    gate.open();
    expect((await first).status).toBe(200);
    await server.stop(0);
  });

  test('speaks TLS when it has a certificate', async () => {
    await using dir = await tempDir('tls');
    const [keyFile, certFile] = [join(dir.path, 'key.pem'), join(dir.path, 'cert.pem')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', keyFile, '-out', certFile, ...subject], {
      stdio: 'ignore',
    });
    const tls = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
    const server = await startServer(app(), { ...local, tls });
    expect(server.url).toMatch(/^https:/);
    const status = await new Promise((resolve, reject) => {
      requestTls(server.url, { ca: tls.cert, agent: false }, (answer) => resolve(answer.resume().statusCode))
        .once('error', reject)
        .end();
    });
    expect(status).toBe(200);
    await server.stop(0);
  });
});

describe('a server that stops', () => {
  test('finishes a running answer while it refuses new connections', async () => {
    const gate = new Gate();
    const server = await startServer(app(gate), local);
    const running = ask(server.url, '/');
    await gate.reached;
    const stopped = server.stop(30_000);
    expect(await refusal(server.url)).toBe('ECONNREFUSED');
    gate.open();
    expect(await running).toMatchObject({ status: 200, isComplete: true });
    await stopped;
  });

  test('does not wait for a connection that asks for nothing', async () => {
    const server = await startServer(app(), local);
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await answered;
    await server.stop(30_000);
    await closed;
  });

  test('closes a kept-alive connection once its answer has ended', async () => {
    const gate = new Gate();
    const server = await startServer(app(gate), local);
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.resume();
    await gate.reached;
    const stopped = server.stop(30_000);
    gate.open();
    await Promise.all([stopped, closed]);
  });

  test('cuts what has not ended when its time is over', async () => {
    const gate = new Gate();
    const server = await startServer(app(gate), local);
    const running = ask(server.url, '/');
    running.catch(() => {}); // awaited below
    await gate.reached;
    await server.stop(20);
    await expect(running).rejects.toThrow();
    gate.open();
  });
});
