// A piece of load: so many connections that ask the same questions over and over, in one loop over epoll.
import { LoadExchange, type LoadRequest, type Prepared, prepare, type Target } from './load-exchange.ts';
import { failure, libc, mustWait } from './load-libc.ts';
import { setReceiveBuffer } from './load-socket.ts';
import { busySeconds, cpuSeconds } from './peer-usage.ts';

export type LoadJob = Target & {
  /** Asked in turn, by all connections together. */
  readonly requests: readonly LoadRequest[];
  readonly connections: number;
  /** The job ends after so many seconds, or answers. */
  readonly seconds?: number;
  readonly answers?: number;
  /** Of load before anything counts. */
  readonly warmSeconds?: number;
  readonly answersPerConnection?: number;
  /** Of all connections together; else as fast as it goes. */
  readonly answersPerSecond?: number;
  /** What each connection reads of a body. */
  readonly bytesPerSecond?: number;
  /** Of the server. */
  readonly pids: readonly number[];
};

export type LoadResult = {
  readonly answers: number;
  /** Of bodies, those that were not whole at the end included. */
  readonly bytes: number;
  readonly seconds: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  /** Of everything else on the machine. */
  readonly otherCpuSeconds: number;
  /** From a request to its first byte and to its last, in ms; the first 200,000. */
  readonly firstByteMs: readonly number[];
  readonly totalMs: readonly number[];
};

const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const mostEvents = 256;
/** The kernel packs the structure on x86 alone. */
const [eventBytes, dataOffset] = process.arch === 'x64' ? [12, 4] : [16, 8];
const mostTimes = 200_000;
const slowTickMs = 100;
const slowReceiveBuffer = 64 * 1024;

export function runJob(job: LoadJob): LoadResult {
  return new Load(job).run();
}

class Load {
  readonly #job: LoadJob;
  readonly #requests: readonly Prepared[];
  readonly #exchanges: LoadExchange[] = [];
  readonly #byFd = new Map<number, LoadExchange>();
  readonly #epoll = libc.epollCreate(0);
  readonly #event = Buffer.alloc(eventBytes);
  readonly #events = Buffer.alloc(eventBytes * mostEvents);
  /** Read a little at a time, by the clock. */
  readonly #slow = new Set<LoadExchange>();
  /** Idle until their time comes. */
  readonly #waiting: LoadExchange[] = [];
  #firstByteMs: number[] = [];
  #totalMs: number[] = [];
  #asked = 0;
  #answered = 0;
  #nextAskAt = 0;
  #nextTickAt = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#requests = job.requests.map(prepare);
  }

  run(): LoadResult {
    const { connections, warmSeconds = 0 } = this.#job;
    try {
      for (let count = 0; count < connections; count++) {
        const exchange = new LoadExchange(this.#job);
        this.#exchanges.push(exchange);
        if (this.#job.bytesPerSecond !== undefined) setReceiveBuffer(exchange.fd, slowReceiveBuffer);
        this.#watch(exchange);
      }
      this.#nextAskAt = performance.now();
      for (const exchange of this.#exchanges) this.#next(exchange);
      if (warmSeconds > 0) this.#loop({ seconds: warmSeconds });
      return this.#measured();
    } finally {
      for (const exchange of this.#exchanges) exchange.close();
      libc.close(this.#epoll);
    }
  }

  #measured(): LoadResult {
    const { seconds, answers, pids } = this.#job;
    this.#firstByteMs = [];
    this.#totalMs = [];
    const answeredBefore = this.#answered;
    const bytesBefore = this.#received();
    const serverBefore = cpuSeconds(pids);
    const busyBefore = busySeconds();
    const clientBefore = process.cpuUsage();
    const startedAt = performance.now();
    this.#loop({ ...(seconds !== undefined && { seconds }), ...(answers !== undefined && { answers }) });
    const took = (performance.now() - startedAt) / 1000;
    const { user, system } = process.cpuUsage(clientBefore);
    const clientCpuSeconds = (user + system) / 1e6;
    const serverCpuSeconds = cpuSeconds(pids) - serverBefore;
    const otherCpuSeconds = Math.max(0, busySeconds() - busyBefore - clientCpuSeconds - serverCpuSeconds);
    return {
      answers: this.#answered - answeredBefore,
      bytes: this.#received() - bytesBefore,
      seconds: took,
      serverCpuSeconds,
      clientCpuSeconds,
      otherCpuSeconds,
      firstByteMs: this.#firstByteMs,
      totalMs: this.#totalMs,
    };
  }

  #loop({ seconds = Number.POSITIVE_INFINITY, answers = Number.POSITIVE_INFINITY }): void {
    const endAt = performance.now() + seconds * 1000;
    const endAnswers = this.#answered + answers;
    const isSlow = this.#job.bytesPerSecond !== undefined;
    while (this.#answered < endAnswers) {
      const now = performance.now();
      if (now >= endAt) return;
      this.#onTime(now);
      const waitMs = Math.min(
        endAt - now,
        this.#waiting.length > 0 ? this.#nextAskAt - now : 1000,
        this.#slow.size > 0 ? this.#nextTickAt - now : 1000,
      );
      const count = libc.epollWait(this.#epoll, this.#events, mostEvents, Math.max(0, Math.ceil(waitMs)));
      if (count < 0 && !mustWait()) throw failure('epoll_wait');
      for (let index = 0; index < count; index++) {
        const exchange = this.#byFd.get(this.#events.readInt32LE(index * eventBytes + dataOffset));
        if (exchange?.advance(isSlow ? 0 : Number.POSITIVE_INFINITY)) this.#done(exchange);
        else if (isSlow && exchange?.isInBody) this.#slowDown(exchange);
      }
    }
  }

  #onTime(now: number): void {
    while (this.#waiting.length > 0 && now >= this.#nextAskAt) {
      const exchange = this.#waiting.shift();
      if (exchange) this.#ask(exchange);
    }
    if (this.#slow.size === 0 || now < this.#nextTickAt) return;
    this.#nextTickAt = now + slowTickMs;
    const most = ((this.#job.bytesPerSecond ?? 0) * slowTickMs) / 1000;
    for (const exchange of this.#slow) {
      if (!exchange.advance(most)) continue;
      this.#slow.delete(exchange);
      this.#watch(exchange);
      this.#done(exchange);
    }
  }

  #done(exchange: LoadExchange): void {
    this.#answered++;
    if (this.#totalMs.length < mostTimes) {
      this.#firstByteMs.push(exchange.firstByteAt - exchange.sentAt);
      this.#totalMs.push(performance.now() - exchange.sentAt);
    }
    this.#next(exchange);
  }

  /** Asks the next question on this connection, now or when its time comes, unless all have been asked. */
  #next(exchange: LoadExchange): void {
    const { answersPerSecond, answersPerConnection = Number.POSITIVE_INFINITY } = this.#job;
    if (exchange.answers >= answersPerConnection) {
      this.#byFd.delete(exchange.fd);
      exchange.reconnect();
      this.#watch(exchange);
    }
    if (answersPerSecond === undefined) this.#ask(exchange);
    else this.#waiting.push(exchange);
  }

  #ask(exchange: LoadExchange): void {
    const { answers = Number.POSITIVE_INFINITY, answersPerSecond } = this.#job;
    if (this.#asked >= answers) return;
    const request = this.#requests[this.#asked++ % this.#requests.length];
    if (request === undefined) throw new Error('a job without requests');
    exchange.ask(request);
    if (answersPerSecond !== undefined) this.#nextAskAt += 1000 / answersPerSecond;
  }

  #watch(exchange: LoadExchange): void {
    this.#byFd.set(exchange.fd, exchange);
    this.#control(EPOLL_CTL_ADD, exchange.fd);
  }

  #slowDown(exchange: LoadExchange): void {
    this.#slow.add(exchange);
    this.#byFd.delete(exchange.fd);
    this.#control(EPOLL_CTL_DEL, exchange.fd);
  }

  #control(operation: number, fd: number): void {
    this.#event.writeUInt32LE(EPOLLIN, 0);
    this.#event.writeInt32LE(fd, dataOffset);
    if (libc.epollControl(this.#epoll, operation, fd, this.#event) !== 0) throw failure('epoll_ctl');
  }

  #received(): number {
    return this.#exchanges.reduce((sum, { received }) => sum + received, 0);
  }
}
