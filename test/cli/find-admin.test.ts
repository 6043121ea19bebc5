// Which mirror a command asks, with which credentials, and what it says when that does not work.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prepareLayout } from '../../src/store/layout.ts';
import { lockDirectory } from '../../src/store/lock.ts';
import { basic, bearer } from '../admin/start-admin.ts';
import { directoryWith } from '../config/config-files.ts';
import { here, run } from './run-command.ts';

let url = '';
let port = 0;
let seen: IncomingMessage[] = [];
let reply: (answer: ServerResponse) => void;
let close = () => {};

beforeEach(async () => {
  seen = [];
  reply = (answer) => answer.writeHead(200, { 'content-type': 'application/json' }).end('{"images":[]}');
  const server = createServer((question, answer) => {
    seen.push(question);
    reply(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  url = `http://127.0.0.1:${port}`;
  close = () => {
    server.closeAllConnections();
    server.close();
  };
});

afterEach(() => close());

const authorizations = () => seen.map(({ headers }) => headers.authorization);
const fine = { status: 0, stdout: expect.stringContaining('REPOSITORY') };

describe('without --admin', () => {
  const files = (admin: object | null) => ({ 'config.json': { admin } });

  test('it is the one of the configuration, with its token', async () => {
    expect(await here(['ls'], { files: files({ port, token: 'hunter2' }) })).toMatchObject(fine);
    expect(authorizations()).toEqual([bearer('hunter2').headers?.authorization]);
  });

  test('the environment counts as it does for the mirror', async () => {
    const env = { STILLWATER_ADMIN__PORT: String(port), STILLWATER_ADMIN__TOKEN: 'other' };
    expect(await here(['ls'], { files: files({ token: 'hunter2' }), env })).toMatchObject(fine);
    expect(authorizations()).toEqual(['Bearer other']);
  });

  test('an address that means all of them is dialled here', async () => {
    expect(await here(['ls'], { files: files({ host: '0.0.0.0', port }) })).toMatchObject(fine);
    expect(seen[0]?.headers.host).toBe(`127.0.0.1:${port}`);
  });

  test.each([
    [null, 'admin is null: the mirror has no listener to ask; start one, or give --admin URL'],
    [{ port: 0 }, 'admin.port is 0: nobody knows where it listens; give --admin URL'],
  ])('%j is told, and exits with 2', async (admin, fault) => {
    expect(await here(['status'], { files: files(admin) })).toEqual({
      status: 2,
      stdout: '',
      stderr: `stillwater: ${fault}\n`,
    });
  });
});

describe('with --admin', () => {
  test.each(['', '/'])('it is that one, with the token of the environment: %j', async (end) => {
    const files = { 'config.json': { admin: { token: 'hunter2' } } };
    expect(await here(['ls', '--admin', url + end], { files })).toMatchObject(fine);
    expect(
      await here(['ls', '--admin', `127.0.0.1:${port}`], { files, env: { STILLWATER_ADMIN__TOKEN: 'mine' } }),
    ).toMatchObject(fine);
    expect(authorizations()).toEqual([undefined, 'Bearer mine']);
  });

  test('the token of a file that was asked for goes with it', async () => {
    const files = { 'their.json': { admin: { token: 'theirs' } } };
    expect(await here(['ls', '--admin', url, '--config', 'their.json'], { files })).toMatchObject(fine);
    expect(authorizations()).toEqual(['Bearer theirs']);
  });

  test('a login in the URL is shown, and not printed', async () => {
    const login = url.replace('//', '//admin:p%40ss@');
    expect(await here(['ls', '--admin', login])).toMatchObject(fine);
    expect(authorizations()).toEqual([basic('admin', 'p@ss').headers?.authorization]);
    close();
    expect((await here(['ls', '--admin', login])).stderr).toBe(
      `stillwater: no mirror answers at ${url}: nothing listens there; start one there, or give another --admin URL\n`,
    );
  });

  test('a path in front is kept', async () => {
    expect(await here(['ls', '--admin', `${url}/mirror/`])).toMatchObject(fine);
    expect(seen[0]?.url).toBe('/mirror/api/v1/images?limit=1000');
  });
});

describe('nobody there', () => {
  const absent = { 'config.json': { admin: { port: 1 } } };
  const nobody =
    'stillwater: no mirror answers at http://127.0.0.1:1: nothing listens there; start one, or give --admin URL';

  test('is told with what to do', async () => {
    expect(await here(['ls'], { files: absent })).toEqual({ status: 1, stdout: '', stderr: `${nobody}\n` });
  });

  test('names the directory too, where that is free and the command can open it', async () => {
    const cwd = directoryWith(absent);
    const layout = await prepareLayout(`${cwd}/cache`);
    lockDirectory(layout.lock, 'cache').release();
    expect((await run(['ls'], { cwd })).stderr).toBe(`${nobody}, or work on its directory with --cache-dir ./cache\n`);
    expect((await run(['pin', 'x'], { cwd })).stderr).toBe(`${nobody}\n`);
    const held = lockDirectory(layout.lock, 'cache');
    expect((await run(['ls'], { cwd })).stderr).toBe(`${nobody}\n`);
    held.release();
  });
});

describe('an answer', () => {
  const said = async () => {
    const { status, stdout, stderr } = await here(['inspect', 'x', '--admin', url]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    return stderr.replaceAll(url, 'URL');
  };

  test('that refuses is given in its own words', async () => {
    reply = (answer) => answer.writeHead(409).end('{"error":"it is pinned; unpin it first"}');
    expect(await said()).toBe('stillwater: it is pinned; unpin it first\n');
  });

  test('of 401 says where the token goes', async () => {
    reply = (answer) => answer.writeHead(401).end('{"error":"this needs admin.token"}');
    expect(await said()).toBe('stillwater: the mirror at URL needs admin.token: set STILLWATER_ADMIN__TOKEN\n');
    const { stderr } = await here(['inspect', 'x', '--admin', url], { env: { STILLWATER_ADMIN__TOKEN: 'hunter2' } });
    expect(stderr).toContain('does not take this admin.token: set STILLWATER_ADMIN__TOKEN to the one it has\n');
    expect(stderr).not.toContain('hunter2');
  });

  test.each([
    ['something else', 200, '<html>hello</html>'],
    ['another error', 404, '{"errors":[{"code":"NAME_UNKNOWN"}]}'],
    ['a redirect', 302, ''],
  ])('of %s says that this is no mirror', async (_what, status, body) => {
    reply = (answer) => answer.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body);
    expect(await said()).toBe(
      `stillwater: URL is no admin listener of a mirror: it answered ${status}, with nothing that one would say; give --admin URL\n`,
    );
  });

  test('that breaks off is told', async () => {
    reply = (answer) => {
      answer.writeHead(200, { 'content-length': 100 }).write('{');
      setImmediate(() => answer.destroy());
    };
    expect(await said()).toMatch(/^stillwater: the mirror at URL broke off: .*; see its log\n$/);
  });

  test('that does not begin is told', async () => {
    reply = (answer) => answer.destroy();
    expect(await said()).toBe(
      'stillwater: no mirror answers at URL: the connection was closed; start one there, or give another --admin URL\n',
    );
  });
});
