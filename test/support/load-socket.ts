// A connection as a load client wants it: bytes that nobody looks at are dropped where that is cheapest.
import { failure, libc, mustWait, openssl } from './load-libc.ts';

export interface LoadSocket {
  readonly fd: number;
  send(bytes: Buffer): void;
  /** How many bytes came; 0 at the end, `undefined` when there is nothing yet. */
  read(into: Buffer): number | undefined;
  /** As `read`, for at most `count` bytes that are not wanted. */
  discard(count: number): number | undefined;
  close(): void;
}

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** Connects to 127.0.0.1; waits until the kernel has, which on loopback is at once. */
export function connectPlain(port: number): LoadSocket {
  const fd = libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) throw failure('socket');
  setOption(fd, { level: 6, name: 1, value: 1 }); // TCP_NODELAY
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  if (libc.connect(fd, address, address.length) !== 0) throw failure(`connect to port ${port}`);
  return {
    fd,
    send: (bytes) => {
      if (libc.send(fd, bytes, bytes.length, MSG_NOSIGNAL) !== bytes.length) throw failure('send');
    },
    read: (into) => received(libc.recv(fd, into, into.length, MSG_DONTWAIT)),
    // The kernel frees them without a copy.
    discard: (count) => received(libc.recv(fd, null, count, MSG_TRUNC | MSG_DONTWAIT)),
    close: () => libc.close(fd),
  };
}

/** So that little waits in the kernel for somebody who reads slowly. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  setOption(fd, { level: 1, name: 8, value: bytes });
}

function setOption(fd: number, option: { readonly level: number; readonly name: number; readonly value: number }) {
  const value = Buffer.alloc(4);
  value.writeInt32LE(option.value);
  libc.setsockopt(fd, option.level, option.name, value, 4);
}

function received(count: number): number | undefined {
  if (count >= 0) return count;
  if (mustWait()) return undefined;
  throw failure('recv');
}

const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_ZERO_RETURN = 6;
const scratch = Buffer.alloc(256 * 1024);
let tls: { readonly calls: ReturnType<typeof openssl>; readonly context: unknown } | undefined;

/** Whatever certificate the server shows: a load client proves nothing. */
export function connectTls(port: number): LoadSocket {
  tls ??= newTls();
  const { calls, context } = tls;
  const plain = connectPlain(port);
  const session = calls.newSession(context);
  calls.setFd(session, plain.fd);
  if (calls.connect(session) !== 1) throw new Error(`the TLS handshake with port ${port} failed`);
  libc.fcntl(plain.fd, F_SETFL, O_NONBLOCK);
  // What the library holds back no epoll tells about: it is read until it is empty.
  const readAll = (most: number, place: (count: number) => Buffer) => {
    let count = 0;
    while (count < most) {
      const into = place(count);
      const got = calls.read(session, into, Math.min(most - count, into.length));
      if (got > 0) count += got;
      else {
        const why = calls.getError(session, got);
        if (why === SSL_ERROR_WANT_READ) return count === 0 ? undefined : count;
        if (why === SSL_ERROR_ZERO_RETURN) return count;
        throw new Error(`SSL_read failed: ${why}`);
      }
    }
    return count;
  };
  return {
    fd: plain.fd,
    send: (bytes) => {
      if (calls.write(session, bytes, bytes.length) !== bytes.length) throw new Error('SSL_write failed');
    },
    read: (into) => readAll(into.length, (count) => into.subarray(count)),
    discard: (count) => readAll(count, () => scratch),
    close: () => {
      calls.free(session);
      plain.close();
    },
  };
}

function newTls() {
  const calls = openssl();
  const context = calls.newContext(calls.method());
  calls.contextControl(context, SSL_CTRL_SET_READ_AHEAD, 1, null);
  calls.readBufferLength(context, scratch.length);
  return { calls, context };
}
