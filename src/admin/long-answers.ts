// The answers that go on for long: so many of a kind at once, and all of them over before the cache is closed.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { HTTPException } from 'hono/http-exception';
import { type AdminExchange, departureOf, reasonOf } from './admin-exchange.ts';
import { LongAnswer, type LongAnswerOptions } from './long-answer.ts';
import { discardBody, inviteBody } from './request-body.ts';

export interface LongKind {
  readonly name: string;
  readonly most: number;
  /** What one more is told. */
  readonly full: string;
}

type Head = Omit<LongAnswerOptions, 'heartbeatMs' | 'signal'>;

export interface LongWork {
  /** Fires when the client is gone or the mirror stops. */
  readonly signal: AbortSignal;
  /** Once. What fails before it is answered with a status, what fails behind it cuts the answer. */
  readonly begin: (head: Head) => LongAnswer;
}

export interface LongLines {
  readonly signal: AbortSignal;
  /** One line of JSON. Where the reader is behind, it stands for an earlier one of the same key. */
  readonly send: (line: { readonly type: string; readonly [name: string]: unknown }, key?: string) => void;
}

export const linesType = 'application/x-ndjson';
const usualHeartbeatMs = 8000;

/** One for the whole life of the mirror, whatever a reload replaces. Disposing ends them all and waits for that. */
export class LongAnswers implements AsyncDisposable {
  readonly #heartbeatMs: number;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, number>();
  readonly #ends = new Set<Promise<unknown>>();

  constructor({ heartbeatMs = usualHeartbeatMs }: { readonly heartbeatMs?: number } = {}) {
    this.#heartbeatMs = heartbeatMs;
  }

  /** Newline-delimited JSON; what the work throws is the last line. Throws what is answered with 409 or 503. */
  lines(exchange: AdminExchange, kind: LongKind, work: (lines: LongLines) => Promise<void>): Promise<Response> {
    return this.run(exchange, kind, async ({ signal, begin }) => {
      inviteBody(exchange.env);
      const answer = begin({ type: linesType, heartbeat: line({ type: 'heartbeat' }) });
      let isDone = false;
      const send: LongLines['send'] = (said, key) => {
        isDone ||= said.type === 'done';
        answer.send(line(said), key);
      };
      try {
        await work({ signal, send });
        // Some jobs take a signal for a reason to be content with less.
        if (!isDone) signal.throwIfAborted();
        exchange.set('ended', 'done');
      } catch (error) {
        const why = reasonOf(signal.aborted ? signal.reason : error);
        exchange.set('ended', `failed: ${why}`);
        send({ type: 'error', error: why });
      }
      await discardBody(exchange.env.incoming, signal);
      answer.end();
    });
  }

  /** The work ends the answer it began. Throws what is answered with 409 or 503. */
  async run(exchange: AdminExchange, kind: LongKind, work: (long: LongWork) => Promise<void>): Promise<Response> {
    const leave = this.#enter(kind);
    const { promise: end, resolve: ended } = Promise.withResolvers<void>();
    this.#ends.add(end);
    const signal = AbortSignal.any([departureOf(exchange), this.#stop.signal]);
    let answer: LongAnswer | undefined;
    try {
      await work({
        signal,
        begin: (head) => {
          answer = new LongAnswer(exchange.env.outgoing, { ...head, signal, heartbeatMs: this.#heartbeatMs });
          return answer;
        },
      });
    } catch (error) {
      if (!answer) throw error;
      exchange.set('ended', `failed: ${reasonOf(error)}`);
      answer.cut();
    } finally {
      leave();
      this.#ends.delete(end);
      ended();
    }
    return RESPONSE_ALREADY_SENT;
  }

  #enter({ name, most, full }: LongKind): () => void {
    if (this.#stop.signal.aborted) throw new HTTPException(503, { message: reasonOf(this.#stop.signal.reason) });
    const running = this.#running.get(name) ?? 0;
    if (running >= most) throw new HTTPException(409, { message: full });
    this.#running.set(name, running + 1);
    return () => this.#running.set(name, (this.#running.get(name) ?? 1) - 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the mirror is stopping'));
    await Promise.all(this.#ends);
  }
}

function line(said: object): string {
  return `${JSON.stringify(said)}\n`;
}
