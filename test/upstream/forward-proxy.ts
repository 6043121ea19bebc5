// A forward proxy that records what it is asked for, and leads any host name to a server of the test.
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export type Proxied = { readonly via: 'connect' | 'absolute'; readonly target: string };

export class ForwardProxy implements AsyncDisposable {
  readonly asked: Proxied[] = [];
  /** Host and port as the client names them, to the loopback port that plays them; others are dialled as they are. */
  readonly hosts = new Map<string, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((incoming, outgoing) => {
      const target = new URL(incoming.url ?? '');
      this.asked.push({ via: 'absolute', target: target.href });
      const { port } = this.#place(`${target.hostname}:${target.port || '80'}`);
      const onward = request({
        host: '127.0.0.1',
        port,
        path: target.pathname + target.search,
        headers: incoming.headers,
      });
      onward.on('response', (answer) => answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, answer.headers)));
      onward.on('error', () => outgoing.destroy());
      onward.end();
    });
    this.#server.on('connection', (socket) => this.#keep(socket));
    this.#server.on('connect', ({ url = '' }, client, head) => {
      this.asked.push({ via: 'connect', target: url });
      const server = this.#keep(connect(this.#place(url)));
      server.on('connect', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        server.write(head);
        server.pipe(client).pipe(server);
      });
      server.on('close', () => client.destroy());
      client.on('error', () => server.destroy());
    });
  }

  static async start(): Promise<ForwardProxy> {
    const proxy = new ForwardProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #place(hostAndPort: string): { host: string; port: number } {
    const port = this.hosts.get(hostAndPort) ?? Number(hostAndPort.slice(hostAndPort.lastIndexOf(':') + 1));
    return { host: '127.0.0.1', port };
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }
}

/** Sets the proxy variables of this process, and puts the old ones back at the end. */
export function proxyEnvironment(variables: Readonly<Record<string, string>>): Disposable {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  const before = names.map((name) => [name, process.env[name]] as const);
  for (const name of names) delete process.env[name];
  Object.assign(process.env, variables);
  return {
    [Symbol.dispose]() {
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
    },
  };
}
