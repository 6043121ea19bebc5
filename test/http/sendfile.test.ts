// The C library, called: what the kernel takes, what is in memory, and a machine that has none of it.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openSendfile } from '../../src/http/sendfile.ts';
import { run } from '../support/command.ts';
import { tempDir } from '../support/temp-dir.ts';
import { realSendfile } from './sending-scene.ts';

const here = import.meta.filename;
const far = 5 * 1024 ** 3;

interface Scene extends AsyncDisposable {
  readonly file: FileHandle;
  readonly path: string;
  /** Of a connection whose other end is `client`. */
  readonly descriptor: number;
  readonly client: Socket;
}

/** A file with a few words at its start and far behind. */
async function scene(): Promise<Scene> {
  const dir = await tempDir('sendfile');
  const path = join(dir.path, 'file');
  const file = await open(path, 'w+');
  await file.write('at the start', 0);
  await file.write('far behind', far);
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  return {
    file,
    path,
    descriptor: (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd,
    client,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      socket.destroy();
      server.close();
      await file.close();
      await dir.remove();
    },
  };
}

describe('this machine', () => {
  test('sends what is at a place, however far behind', async () => {
    await using at = await scene();
    const heard: string[] = [];
    at.client.on('data', (chunk) => heard.push(chunk.toString()));
    expect(realSendfile().send(at.descriptor, { fd: at.file.fd, position: 3, length: 3 })).toBe(3);
    await once(at.client, 'data');
    expect(realSendfile().send(at.descriptor, { fd: at.file.fd, position: far + 4, length: 100 })).toBe(6);
    await once(at.client, 'data');
    expect(heard).toEqual(['the', 'behind']);
  });

  test('takes no more than there is room for, and nothing when there is none', async () => {
    await using at = await scene();
    at.client.pause();
    const part = { fd: at.file.fd, position: 0, length: 1024 ** 3 };
    const sent = realSendfile().send(at.descriptor, part);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(part.length);
    let more = sent;
    while (more) more = realSendfile().send(at.descriptor, part);
    expect(more).toBe(0);
  });

  test('refuses a descriptor that is none', async () => {
    await using at = await scene();
    expect(realSendfile().send(-1, { fd: at.file.fd, position: 0, length: 1 })).toBeUndefined();
    expect(realSendfile().readCached(-1, new Uint8Array(1), 0)).toBeUndefined();
  });

  test('reads what is in memory, however far behind, and nothing that a disk would be asked for', async () => {
    await using at = await scene();
    const buffer = new Uint8Array(6);
    expect(realSendfile().readCached(at.file.fd, buffer, 7)).toBe(6);
    expect(Buffer.from(buffer).toString()).toBe('start\0');
    expect(realSendfile().readCached(at.file.fd, buffer, far + 4)).toBe(6);
    expect(Buffer.from(buffer).toString()).toBe('behind');
    expect(realSendfile().readCached(at.file.fd, buffer, far + 10)).toBe(0);
    await run('dd', [`of=${at.path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']);
    expect(realSendfile().readCached(at.file.fd, buffer, far + 4)).toBe(0);
  });
});

describe('a machine', () => {
  afterEach(() => {
    vi.doUnmock('koffi');
    vi.restoreAllMocks();
  });

  test('that is no Linux has no such calls', async () => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin');
    expect(await openSendfile(here)).toEqual({ sendfile: undefined, why: expect.stringContaining('darwin') });
  });

  test('that cannot load what calls them says so', async () => {
    vi.doMock('koffi', () => ({
      default: {
        load: () => {
          throw new Error('no such file');
        },
      },
    }));
    expect(await openSendfile(here)).toEqual({ sendfile: undefined, why: expect.stringContaining('no such file') });
  });

  test.each([
    ['sendfile', /^sendfile/],
    ['preadv2', /^preadv/],
  ])('whose C library has no %s says so', async (missing, names) => {
    const { default: koffi } = await vi.importActual<typeof import('koffi')>('koffi');
    const func = (name: string) => {
      if (names.test(name)) throw new Error(`no ${name}`);
    };
    vi.doMock('koffi', () => ({ default: { ...koffi, load: () => ({ func }) } }));
    expect(await openSendfile(here)).toEqual({ sendfile: undefined, why: expect.stringContaining(`no ${missing}`) });
  });

  test('whose C library knows them by their plain names only is used', async () => {
    const { default: koffi } = await vi.importActual<typeof import('koffi')>('koffi');
    const found: string[] = [];
    const func = (name: string) => {
      if (name.includes('64')) throw new Error(`no ${name}`);
      found.push(name);
      return () => 0;
    };
    vi.doMock('koffi', () => ({ default: { ...koffi, load: () => ({ func }) } }));
    expect(await openSendfile(here)).toEqual({ sendfile: expect.anything() });
    expect(found).toEqual(['sendfile', 'preadv2']);
  });

  test('that cannot tell what of the file is in memory is found out at once, and says what to do', async () => {
    const { default: koffi } = await vi.importActual<typeof import('koffi')>('koffi');
    const before = readdirSync('/proc/self/fd').length;
    let code = koffi.os.errno.EAGAIN;
    vi.doMock('koffi', () => ({ default: { ...koffi, load: () => ({ func: () => () => -1 }), errno: () => code } }));
    expect(await openSendfile(here)).toEqual({ sendfile: expect.anything() });
    code = koffi.os.errno.EOPNOTSUPP;
    const why = `the file system of ${here} cannot tell what is in memory; put cache.dir on one that can (ext4, xfs, btrfs)`;
    expect(await openSendfile(here)).toEqual({ sendfile: undefined, why });
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  test('on which there is no such file says so', async () => {
    expect(await openSendfile('/no/such/file')).toEqual({
      sendfile: undefined,
      why: expect.stringContaining('ENOENT'),
    });
  });
});
