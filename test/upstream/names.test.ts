// Names become addresses, and names that never do keep nobody from it.
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { resolveByDns, resolveName } from '../../src/upstream/names.ts';

const ipv4 = 1;
const ipv6 = 28;
const noSuchName = 3;

/** What a name server says; the addresses of one kind, a code, or nothing at all. */
type Answer = readonly (readonly number[])[] | number | 'silence';

class NameServer implements AsyncDisposable {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async start(answer: (name: string, type: number) => Answer): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.on('message', (query, { port, address }) => {
      const { name, type, question } = questionOf(query);
      const said = answer(name, type);
      if (said !== 'silence') socket.send(reply(query, question, type, said), port, address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  get address(): string {
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  resolve(name: string) {
    return resolveByDns(name, [this.address]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

// https://www.rfc-editor.org/rfc/rfc1035#section-4.1
function questionOf(query: Buffer) {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), question: query.subarray(12, at + 5) };
}

function reply(query: Buffer, question: Buffer, type: number, said: readonly (readonly number[])[] | number): Buffer {
  const addresses = typeof said === 'number' ? [] : said;
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | (typeof said === 'number' ? said : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) =>
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length, ...address]),
  );
  return Buffer.concat([head, question, ...records]);
}

const v4 = [192, 0, 2, 7];
const v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

describe('a name that the DNS is asked for', () => {
  test('has all addresses of both kinds', async () => {
    await using server = await NameServer.start((_, type) => (type === ipv4 ? [v4, v4] : [v6]));
    expect(await server.resolve('both.example.com')).toEqual([
      { address: '192.0.2.7', family: 4 },
      { address: '192.0.2.7', family: 4 },
      { address: '2001:db8::7', family: 6 },
    ]);
  });

  test.each([
    ['IPv4', ipv4, v4, { address: '192.0.2.7', family: 4 }],
    ['IPv6', ipv6, v6, { address: '2001:db8::7', family: 6 }],
  ])('may have %s only, whatever becomes of the other', async (_, kind, bytes, found) => {
    for (const other of [[], noSuchName, 5]) {
      await using server = await NameServer.start((_name, type) => (type === kind ? [bytes] : other));
      expect(await server.resolve('one.example.com')).toEqual([found]);
    }
  });

  test.each<[string, Answer, Answer]>([
    ['ENOTFOUND', noSuchName, noSuchName],
    ['ENODATA', [], []],
    ['ESERVFAIL', [], 2],
    ['ESERVFAIL', 2, []],
    ['EREFUSED', 5, 5],
    ['ETIMEOUT', 'silence', 'silence'],
  ])('and has none is an error that says why: %s', async (code, a, aaaa) => {
    await using server = await NameServer.start((_, type) => (type === ipv4 ? a : aaaa));
    await expect(server.resolve('none.example.com')).rejects.toMatchObject({ code });
  });

  test('keeps nobody from another, were there many without an answer', async () => {
    await using server = await NameServer.start((name, type) => {
      if (name.includes('tarpit')) return 'silence';
      return type === ipv4 ? [v4] : [];
    });
    let ended = 0;
    const stuck = Array.from({ length: 60 }, (_, index) =>
      server.resolve(`h${index}.tarpit.com`).catch(() => {
        ended += 1;
      }),
    );
    expect(await server.resolve('good.example.com')).toHaveLength(1);
    expect((await lookup('localhost', { all: true })).length).toBeGreaterThan(0);
    expect(ended).toBe(0);
    await Promise.all(stuck);
  });
});

describe('a name', () => {
  test.each(['own', 'inside'] as const)('of origin %s may be known to this machine alone', async (origin) => {
    for (const { address } of await resolveName('localhost', origin)) expect(['127.0.0.1', '::1']).toContain(address);
  });

  test('of anybody is never asked of the system, which has places for two', async () => {
    await expect(resolveName('localhost', 'foreign')).rejects.toMatchObject({
      syscall: expect.stringContaining('query'),
    });
  });
});
