// What is kept of an answer that may be given again, and of which requests: those of whom the least has to be thought.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Lasting } from '../mirror/lasting.ts';
import type { AnswerHead } from './exchange.ts';

export interface HotAnswer {
  readonly lasting: Lasting;
  /** Whether a HEAD counts as a use, as it does where the mirror is asked. */
  readonly isUsedByHead: boolean;
  /** For the conditions and the range that somebody asks with. Kept for long: holds no bytes. */
  readonly headFor: (asked: IncomingHttpHeaders) => AnswerHead;
}

/** HTTP/1.0 has no Host field. */
const nameless = 'localhost';
/** As clients write one; what is stranger is looked at where all others are. */
const plainHost = /^[a-z0-9._-]+(?::(?:[1-5]\d{3,4}|[6-9]\d{3}))?$/;

/** No query but the one that containerd sends; how long the rest may be, the grammar says. */
const plainTarget = /^[^?]+(?:\?ns=[^&]+)?$/;

/** A GET or HEAD without a body, from whoever shows no credentials: to look at those takes time. */
export function isPlain({ method, headers }: IncomingMessage): boolean {
  return (
    (method === 'GET' || method === 'HEAD') &&
    headers.authorization === undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    plainHost.test(headers.host ?? nameless)
  );
}

export function isPlainTarget(target: string): boolean {
  return plainTarget.test(target);
}

/** The same with these fields in every head; most ask for all of it, and share one head. */
export function withFields({ headFor, ...answer }: HotAnswer, fields: Readonly<Record<string, string>>): HotAnswer {
  const of = (asked: IncomingHttpHeaders): AnswerHead => {
    const head = headFor(asked);
    return { ...head, headers: { ...head.headers, ...fields } };
  };
  const whole = of({});
  return {
    ...answer,
    headFor: (asked) => (asked['if-none-match'] === undefined && asked.range === undefined ? whole : of(asked)),
  };
}
