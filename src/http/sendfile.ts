// The two calls of the C library that node has no words for: sendfile(2), and a read that waits for no disk.
import { open } from 'node:fs/promises';
import type { KoffiFunc, LibraryHandle, TypeObject } from 'koffi';

export interface FilePart {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/** Both calls answer at once, with a number of bytes, or with `undefined` where the system can do no such thing. */
export interface Sendfile {
  /** What the kernel took for a socket that does not block; 0 where there is no room. Waits for what is not in memory. */
  send(socket: number, part: FilePart): number | undefined;
  /** What the buffer got of the bytes that are in memory already; 0 where a disk had to be asked. */
  readCached(fd: number, buffer: Uint8Array, position: number): number | undefined;
}

/** Without it everything goes out by copying, which is slower and no fault. */
export type OpenedSendfile = { readonly sendfile: Sendfile } | { readonly sendfile: undefined; readonly why: string };

/** <linux/fs.h>, the same on every architecture. */
const RWF_NOWAIT = 8;

/** For the files beside `path`. Loading takes milliseconds of the event loop; nothing has to wait for it. */
export async function openSendfile(path: string): Promise<OpenedSendfile> {
  if (process.platform !== 'linux')
    return { sendfile: undefined, why: `${process.platform} has no sendfile as Linux does` };
  try {
    const sendfile = await bindSendfile();
    await using file = await open(path);
    if (sendfile.readCached(file.fd, new Uint8Array(1), 0) !== undefined) return { sendfile };
    const why = `the file system of ${path} cannot tell what is in memory; put cache.dir on one that can (ext4, xfs, btrfs)`;
    return { sendfile: undefined, why };
  } catch (error) {
    return { sendfile: undefined, why: `sendfile cannot be called: ${(error as Error).message}` };
  }
}

async function bindSendfile(): Promise<Sendfile> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const { EAGAIN } = koffi.os.errno;
  const outcome = (bytes: number) => {
    if (bytes >= 0) return bytes;
    return koffi.errno() === EAGAIN ? 0 : undefined;
  };
  const ioVector = koffi.pointer(koffi.struct({ base: 'void *', length: 'size_t' }));
  const sendfile = bind<SendfileCall>(libc, 'sendfile', ['int', 'int', 'void *', 'size_t']);
  const preadv2 = bind<ReadCall>(libc, 'preadv2', ['int', ioVector, 'int', 'int64_t', 'int']);
  const offset = new BigInt64Array(1);
  return {
    send(socket, { fd, position, length }) {
      offset[0] = BigInt(position);
      return outcome(sendfile(socket, fd, offset, length));
    },
    readCached: (fd, base, position) => outcome(preadv2(fd, { base, length: base.length }, 1, position, RWF_NOWAIT)),
  };
}

type SendfileCall = (socket: number, fd: number, offset: BigInt64Array, length: number) => number;
type ReadCall = (
  fd: number,
  buffer: { readonly base: Uint8Array; readonly length: number },
  buffers: 1,
  position: number,
  flags: number,
) => number;

/** By the name whose offsets have 64 bits on every architecture; musl has only such, under the plain name. */
function bind<Call extends (...args: never) => number>(
  libc: LibraryHandle,
  name: 'sendfile' | 'preadv2',
  parameters: (string | TypeObject)[],
): KoffiFunc<Call> {
  const wide = { sendfile: 'sendfile64', preadv2: 'preadv64v2' }[name];
  try {
    return libc.func(wide, 'intptr_t', parameters) as KoffiFunc<Call>;
  } catch {
    return libc.func(name, 'intptr_t', parameters) as KoffiFunc<Call>;
  }
}
