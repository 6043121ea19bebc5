// Who we are, said to an endpoint with a question: what we showed the last time, and something better after a refusal.
import { abandonable } from '../abandonable.ts';
import type { Attempt } from '../attempt.ts';
import type { Question, Reader } from '../endpoint.ts';
import { queueOf } from '../places.ts';
import type { UpstreamResponse } from '../transport.ts';
import type { Authenticator } from './authenticator.ts';

export interface IntroductionOptions<T> {
  readonly question: Question;
  readonly authenticator: Authenticator;
  /** The endpoint's own: only it may ask who we are, since what we show follows no redirect. */
  readonly origin: string;
  readonly attempt: Attempt;
  readonly read: Reader<T>;
  /** Puts the question, with this, if it still may go when its turn has come. */
  readonly put: <V>(authorization: string | undefined, read: Reader<V>, mayGo?: () => boolean) => Promise<V>;
}

/** A response that asks for something better, unread. */
class Refusal {
  readonly response: UpstreamResponse;

  constructor(response: UpstreamResponse) {
    this.response = response;
  }
}

export async function askIntroduced<T>(options: IntroductionOptions<T>): Promise<T> {
  const { question, authenticator, attempt, read, put } = options;
  // Built by us: ghcr.io's challenge at the door names a placeholder.
  const scope = `repository:${question.path}:pull`;
  const wait = <V>(work: Promise<V>) => attempt.timed(() => abandonable(work, attempt.signal));
  const ask = (shown: string | undefined, mayGo?: () => boolean) =>
    put<T | Refusal>(
      shown,
      async (response) => (isRefusal(response, shown, options) ? new Refusal(response) : read(response)),
      mayGo,
    );
  let shown = await wait(authenticator.authorization(scope));
  for (let refusals = 0; ; refusals++) {
    const isPassword = shown?.startsWith('Basic ');
    const showing = isPassword
      ? authenticator.showPassword(queueOf(question.kind), async ({ authorization, mayGo, check }) => {
          shown = authorization;
          const answer = await ask(authorization, mayGo);
          if (answer instanceof Refusal) await wait(check()).catch(discarding(answer.response));
          return answer;
        })
      : ask(shown);
    // Others try the password first: they have their own time for that.
    const answer = await (isPassword ? abandonable(showing, attempt.signal) : showing);
    if (!(answer instanceof Refusal)) return answer;
    const { response } = answer;
    // A token was given for this scope: what it is refused is refused. The registry may have gone over to tokens.
    const mayShowBetter = refusals === 0 || (refusals === 1 && isPassword);
    const asking = mayShowBetter ? better(authenticator, response, scope, shown) : Promise.resolve(undefined);
    const next = await wait(asking).catch(discarding(response));
    if (next === undefined) return attempt.timed(() => read(response));
    response.discard();
    shown = next;
  }
}

function isRefusal<T>(
  { status, url }: UpstreamResponse,
  shown: string | undefined,
  { origin, question }: IntroductionOptions<T>,
): boolean {
  if (url.origin !== origin) return false;
  if (status === 401) return true;
  if (shown === undefined) return false;
  // A blob is asked for again without its range before a 400 can mean anything else.
  return status === 403 || (status === 400 && !(question.kind === 'blob' && question.headers));
}

async function better(
  authenticator: Authenticator,
  { status, header }: UpstreamResponse,
  scope: string,
  refused: string | undefined,
): Promise<string | undefined> {
  const challenge = header('www-authenticate');
  if (status === 401 && challenge !== undefined) return authenticator.answer(challenge, scope, refused);
  // ghcr.io and public.ecr.aws have a bare refusal for a token that is no longer good.
  return refused?.startsWith('Bearer ') ? authenticator.refresh(scope, refused) : undefined;
}

/** A body that nobody reads would keep its connection. */
function discarding(response: UpstreamResponse): (error: unknown) => never {
  return (error) => {
    response.discard();
    throw error;
  };
}
