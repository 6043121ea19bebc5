// A crowd that wants to be in the way: requests whose heads never end, and passwords that are wrong.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { basic } from './fake-token-server.ts';

export type FloodOptions = {
  readonly port: number;
  /** Connections from one address, each with a request that gets a byte longer every second. */
  readonly slow: { readonly connections: number; readonly address: string };
  /** Wrong passwords of `user`, each another one, from as many addresses in turn. */
  readonly guesses: {
    readonly perSecond: number;
    readonly addresses: number;
    readonly user: string;
    readonly path: string;
  };
};

export type FloodFigures = {
  readonly slowNow: number;
  readonly slowOpened: number;
  readonly slowCut: number;
  readonly guessed: number;
  /** How many guesses were answered with which status; `failed`: with nothing. */
  readonly answers: Readonly<Record<string, number>>;
};

const tickMs = 1000;
const guessTickMs = 50;

export class Flood implements Disposable {
  readonly #options: FloodOptions;
  readonly #slow = new Set<Socket>();
  readonly #answers: Record<string, number> = {};
  readonly #timers: NodeJS.Timeout[];
  #opened = 0;
  #cut = 0;
  #guessed = 0;

  constructor(options: FloodOptions) {
    this.#options = options;
    this.#fill();
    this.#timers = [setInterval(() => this.#dripAndFill(), tickMs), setInterval(() => this.#guessSome(), guessTickMs)];
  }

  get figures(): FloodFigures {
    const slow = { slowNow: this.#slow.size, slowOpened: this.#opened, slowCut: this.#cut };
    return { ...slow, guessed: this.#guessed, answers: { ...this.#answers } };
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#slow) socket.destroy();
  }

  #dripAndFill(): void {
    for (const socket of this.#slow) socket.write('a');
    this.#fill();
  }

  /** What was cut comes again a second later, as a determined crowd would. */
  #fill(): void {
    const { port, slow } = this.#options;
    while (this.#slow.size < slow.connections) {
      const socket = connect({ port, host: '127.0.0.1', localAddress: slow.address });
      this.#slow.add(socket);
      this.#opened++;
      socket.on('error', () => {});
      socket.once('connect', () => socket.write('GET /v2/ HTTP/1.1\r\nhost: mirror\r\nx-slow: '));
      socket.resume();
      socket.once('close', () => {
        this.#slow.delete(socket);
        this.#cut++;
      });
    }
  }

  #guessSome(): void {
    const { perSecond } = this.#options.guesses;
    for (let count = 0; count < (perSecond * guessTickMs) / 1000; count++) this.#guess();
  }

  #guess(): void {
    const { port, guesses } = this.#options;
    const number = this.#guessed++;
    const from = number % guesses.addresses;
    const sent = request({
      ...{ port, host: '127.0.0.1', path: guesses.path, agent: false },
      localAddress: `127.0.${100 + (from >> 8)}.${from & 255 || 255}`,
      headers: { authorization: basic(guesses.user, `guess number ${number}`) },
    });
    sent.once('error', () => this.#count('failed'));
    sent.once('response', (response) => {
      this.#count(String(response.statusCode));
      response.resume();
    });
    sent.end();
  }

  #count(answer: string): void {
    this.#answers[answer] = (this.#answers[answer] ?? 0) + 1;
  }
}
