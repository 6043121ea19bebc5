// The few calls of the C library, and of the OpenSSL inside node, that a load client is made of. Linux only.
import koffi from 'koffi';

// What the process itself exports: libc through its own linking, OpenSSL because addons may call it.
const own = koffi.load(null);

export const libc = {
  socket: own.func('int socket(int domain, int type, int protocol)'),
  connect: own.func('int connect(int fd, const void *address, uint32_t length)'),
  send: own.func('intptr_t send(int fd, const void *bytes, size_t count, int flags)'),
  recv: own.func('intptr_t recv(int fd, void *into, size_t count, int flags)'),
  setsockopt: own.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  fcntl: own.func('int fcntl(int fd, int command, long value)'),
  close: own.func('int close(int fd)'),
  epollCreate: own.func('int epoll_create1(int flags)'),
  epollControl: own.func('int epoll_ctl(int epoll, int operation, int fd, const void *event)'),
  epollWait: own.func('int epoll_wait(int epoll, void *events, int most, int timeout)'),
} as const;

/** Looked up when the first TLS job comes: a node without them can do all the rest. */
export function openssl() {
  return {
    method: own.func('void *TLS_client_method()'),
    newContext: own.func('void *SSL_CTX_new(void *method)'),
    contextControl: own.func('long SSL_CTX_ctrl(void *context, int command, long value, void *more)'),
    readBufferLength: own.func('void SSL_CTX_set_default_read_buffer_len(void *context, size_t length)'),
    newSession: own.func('void *SSL_new(void *context)'),
    setFd: own.func('int SSL_set_fd(void *session, int fd)'),
    connect: own.func('int SSL_connect(void *session)'),
    read: own.func('int SSL_read(void *session, void *into, int count)'),
    write: own.func('int SSL_write(void *session, const void *bytes, int count)'),
    getError: own.func('int SSL_get_error(void *session, int result)'),
    free: own.func('void SSL_free(void *session)'),
  } as const;
}

export function failure(what: string): Error {
  return new Error(`${what} failed: errno ${koffi.errno()}`);
}

const EAGAIN = 11;
const EINTR = 4;

/** Whether the last call failed only because there is nothing to read yet. */
export function mustWait(): boolean {
  return koffi.errno() === EAGAIN || koffi.errno() === EINTR;
}
