// One address of an upstream and how it fares: whether it may be asked, as whom, and one question put to it.
import type { Attempt } from './attempt.ts';
import { discreet } from './auth/discreet.ts';
import { askIntroduced } from './auth/introduction.ts';
import type { Circuit } from './circuit.ts';
import { refusedCredentials } from './credentials/login.ts';
import { Health, type Thing } from './health.ts';
import { holding, Places, queueOf } from './places.ts';
import type { Limits, QuestionKind } from './rate-limit.ts';
import type { Session, Sessions } from './sessions.ts';
import type { Transport, UpstreamRequest, UpstreamResponse } from './transport.ts';
import { type EndpointStatus, UpstreamError } from './upstream.ts';

export interface EndpointOptions {
  /** Of the upstream, for messages. */
  readonly name: string;
  readonly url: URL;
  readonly connections: number;
  readonly transport: Transport;
  readonly sessions: Sessions;
  readonly circuit: Circuit;
  /** Of the token server that it names. */
  readonly tokenCircuit: Circuit;
}

export interface Question {
  readonly kind: Exclude<UpstreamRequest['kind'], 'token'>;
  readonly method?: 'GET' | 'HEAD';
  /** Of the repository. */
  readonly path: string;
  /** What is asked for in it, such as `manifests/latest`. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked without a login, though there are some: what everybody is shown. */
  readonly isAnonymous?: boolean;
}

/** Makes an answer of a response. Throws `UpstreamError` for one that is none. */
export type Reader<T> = (response: UpstreamResponse) => Promise<T>;

/** All that the registry itself said: what it sent us to has limits of its own, and speaks for one question. */
const redirected = { status: 307, header: () => undefined };

export class Endpoint {
  readonly name: string;
  readonly #options: EndpointOptions;
  readonly #transfers: Places;
  readonly #questions: Places;
  /** Some registries take long for them: they leave places for what pulls wait for. */
  readonly #lists: Places;
  readonly #health: Health;
  #lastAnswerAt = Number.NEGATIVE_INFINITY;
  #lastGivenAt = Number.NEGATIVE_INFINITY;

  constructor(options: EndpointOptions) {
    const { name, connections, transport, circuit } = options;
    this.name = name;
    this.#options = options;
    this.#transfers = new Places(transport.transfers);
    const questions = Math.max(1, connections - transport.transfers);
    this.#questions = new Places(questions);
    this.#lists = new Places(Math.ceil(questions / 2));
    this.#health = new Health({ circuit });
  }

  get address(): string {
    return addressOf(this.#options.url);
  }

  get transfers(): number {
    return this.#options.transport.transfers;
  }

  /** When it last gave an answer, or proved that there is none. */
  get lastAnswerAt(): number {
    return this.#lastAnswerAt;
  }

  /** When it last gave what it was asked for. */
  get lastGivenAt(): number {
    return this.#lastGivenAt;
  }

  get thrift(): number {
    return this.#options.sessions.thrift;
  }

  get isUsable(): boolean {
    return this.#options.circuit.mayEnter;
  }

  mayAsk(kind: QuestionKind): boolean {
    return this.isUsable && this.#options.sessions.mayAsk(kind);
  }

  /** `read` may answer `undefined`: there is no such thing. Throws `UpstreamError`, or the reason of who left. */
  async ask<T>(question: Question, attempt: Attempt, read: Reader<T>): Promise<T> {
    const { sessions } = this.#options;
    // What nobody is told says nothing of what the logins are: neither refusals nor answers count for them.
    if (question.isAnonymous) return this.#askAs(sessions.anonymous, question, attempt, read);
    let problem: unknown;
    for (const session of sessions.inTurn(questionKind(question))) {
      try {
        const answer = await this.#askAs(session, question, attempt, read);
        if (answer === undefined && sessions.isStandIn(session)) throw this.#refused('nothing', problem);
        this.#lastAnswerAt = performance.now();
        if (answer !== undefined) this.#lastGivenAt = this.#lastAnswerAt;
        return answer;
      } catch (error) {
        if (attempt.isAbandoned || !(error instanceof UpstreamError)) throw error;
        const isNo = error.failure === 'unauthorized' || error.failure === 'denied';
        // Whoever relies on it having answered just now has to ask again.
        if (!isNo && error.failure !== 'away') this.#lastAnswerAt = this.#lastGivenAt = Number.NEGATIVE_INFINITY;
        if (isNo && sessions.isStandIn(session)) throw this.#refused('a refusal', problem);
        // That is about who asked, and others may be luckier.
        if (error.failure !== 'limited' && error.failure !== 'login') throw error;
        problem = error;
      }
    }
    throw problem ?? this.#limited(questionKind(question), sessions);
  }

  status(): EndpointStatus[] {
    const { circuit, tokenCircuit, sessions } = this.#options;
    const { tokenServer } = sessions;
    return [
      { endpoint: this.address, ...statusOf(circuit), limits: sessions.status() },
      ...(tokenServer === undefined ? [] : [{ endpoint: tokenServer, ...statusOf(tokenCircuit), limits: [] }]),
    ];
  }

  close(): Promise<void> {
    return this.#options.transport.close();
  }

  #askAs<T>(session: Session, question: Question, attempt: Attempt, read: Reader<T>): Promise<T> {
    const put = <V>(authorization: string | undefined, reader: Reader<V>, mayGo = () => true) =>
      this.#exchange(session, { ...question, authorization, mayGo }, attempt, reader);
    const { origin } = this.#options.url;
    return askIntroduced({ question, authenticator: session.authenticator, origin, attempt, read, put });
  }

  async #exchange<T>(
    session: Session,
    question: Question & { readonly authorization: string | undefined; readonly mayGo: () => boolean },
    attempt: Attempt,
    read: Reader<T>,
  ): Promise<T> {
    const { transport, sessions, url } = this.#options;
    const { kind, method = 'GET', path, target, headers, authorization, mayGo } = question;
    const { signal } = attempt;
    const leave = await this.#place(question, signal);
    if (!mayGo()) {
      leave();
      throw refusedCredentials(this.name, 'others were refused with them');
    }
    const turn = session.limits.enter(questionKind(question));
    const permit = turn && this.#health.enter(question);
    if (!turn || !permit) {
      turn?.released();
      leave();
      throw turn ? this.#away(question) : this.#limited(questionKind(question), session.limits);
    }
    const { isRushed } = attempt;
    try {
      return await attempt.timed(async () => {
        const asked = new URL(`${url.href.replace(/\/+$/, '')}/v2/${path}/${target}`);
        const sent = { kind, method, url: asked, authorization, signal, ...(headers && { headers }) };
        const response = await transport.send(sent);
        turn.heard(response.url.origin === url.origin ? response : redirected);
        // A long list that comes slowly is no silence.
        if (queueOf(kind) === 'lists' && response.status < 500) permit.succeeded();
        const held = kind === 'blob' ? holding(response, leave, signal) : response;
        const answer = await read(authorization !== undefined && sessions.isKnown(session) ? discreet(held) : held);
        permit.succeeded();
        if (kind !== 'blob') leave();
        return answer;
      });
    } catch (error) {
      turn.released();
      const isTold = error instanceof UpstreamError && !attempt.isAbandoned;
      if (isTold && !(isRushed && error.failure === 'timeout')) permit.failed(error);
      else permit.released();
      leave();
      throw error;
    }
  }

  /** Resolves with what gives it back. */
  async #place({ kind, path }: Question, signal: AbortSignal): Promise<() => void> {
    const queue = queueOf(kind);
    if (queue === 'transfers') return this.#transfers.take(signal);
    if (queue === 'questions') return this.#questions.take(signal, path);
    const leaveLists = await this.#lists.take(signal, path);
    try {
      const leaveQuestions = await this.#questions.take(signal, path);
      return () => {
        leaveQuestions();
        leaveLists();
      };
    } catch (error) {
      leaveLists();
      throw error;
    }
  }

  #away(thing: Thing): UpstreamError {
    const { name, circuit } = this.#options;
    const objection = this.#health.objection(thing) ?? circuit;
    const { problem = 'it failed a moment ago', retryInMs = 0 } = objection;
    const what = objection === circuit ? this.address : `what hangs at ${this.address}`;
    return new UpstreamError('away', `upstream ${name} is not asked: ${what} rests: ${problem}`, {
      retryAfterMs: retryInMs,
    });
  }

  #limited(kind: QuestionKind, by: Pick<Limits, 'retryInMs'>): UpstreamError {
    const what = kind === 'pull' ? 'pull limit' : 'rate limit';
    return new UpstreamError('limited', `upstream ${this.name} is not asked: its ${what} is used up for now`, {
      retryAfterMs: by.retryInMs(kind) ?? 0,
    });
  }

  /** What is not given to nobody may be there for the login that rests. */
  #refused(answer: string, problem: unknown): unknown {
    const { problem: why = `upstream ${this.name} refused the configured credentials` } = this.#options.sessions;
    return problem ?? new UpstreamError('login', `${why}; and it has ${answer} for who shows none`);
  }
}

/** As it may be shown: without what a URL may hold of credentials. */
export function addressOf({ origin, pathname }: URL): string {
  return origin + pathname.replace(/\/+$/, '');
}

function questionKind({ kind, method }: Question): QuestionKind {
  return kind === 'manifest' && method !== 'HEAD' ? 'pull' : 'other';
}

function statusOf({ isOpen, retryInMs, problem }: Circuit): Omit<EndpointStatus, 'endpoint' | 'limits'> {
  return { isCircuitOpen: isOpen, retryInMs, problem };
}
