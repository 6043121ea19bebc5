// The only map from what went wrong to what a client is told: status, OCI code, one sentence, detail.
import { DigestMismatchError, OciError, type OciErrorCode } from '../oci/errors.ts';
import { isDiskFault } from '../store/disk.ts';
import { UpstreamError, type UpstreamFailure } from '../upstream/upstream.ts';
import type { PullTarget } from './pull-path.ts';

export interface ErrorAnswer {
  readonly status: number;
  readonly body: { readonly errors: readonly { code: string; message: string; detail: unknown }[] };
}

const statusOfCode: Record<OciErrorCode, number> = {
  BLOB_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  TOOMANYREQUESTS: 503,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNSUPPORTED: 405,
};

/**
 * 429 never reaches a client: containerd would ask six times, podman would wait minutes (measured), 503 sends both to
 * their next endpoint at once. 401 without a challenge neither: it is how Docker Hub says "missing or private".
 */
const answerOfFailure: Record<UpstreamFailure, readonly [number, OciErrorCode | 'unknown']> = {
  unreachable: [502, 'UNAVAILABLE'],
  timeout: [504, 'UNAVAILABLE'],
  limited: [503, 'TOOMANYREQUESTS'],
  denied: [403, 'DENIED'],
  unauthorized: [404, 'unknown'],
  failing: [502, 'UNAVAILABLE'],
  protocol: [502, 'UNAVAILABLE'],
  login: [503, 'UNAVAILABLE'],
  away: [503, 'UNAVAILABLE'],
  offline: [503, 'UNAVAILABLE'],
};

/** What whoever reads the error can do. */
const adviceOfFailure: Record<UpstreamFailure, string> = {
  unreachable: 'try again later, or pull from the registry itself',
  timeout: 'try again later, or pull from the registry itself',
  limited: 'the mirror asks again as soon as it may; credentials raise the limit',
  denied: 'if it is private, the mirror needs credentials that may see it',
  unauthorized: 'it does not exist, or is private and the mirror needs credentials that may see it',
  failing: 'try again later, or pull from the registry itself',
  protocol: 'pull from the registry itself, and tell whoever runs the mirror',
  login: 'whoever runs the mirror has to renew its credentials',
  away: 'it is asked again in a moment; the registry itself may answer',
  offline: 'pull from the registry itself',
};

export function unknownCode(kind: PullTarget['kind'] | undefined): OciErrorCode {
  if (kind === 'manifest' || kind === 'referrers') return 'MANIFEST_UNKNOWN';
  return kind === 'blob' ? 'BLOB_UNKNOWN' : 'NAME_UNKNOWN';
}

export function errorAnswer(error: unknown, kind?: PullTarget['kind']): ErrorAnswer {
  if (error instanceof OciError) return answer(statusOfCode[error.code], error.code, error.message, error.detail);
  if (error instanceof UpstreamError) {
    const [status, code] = answerOfFailure[error.failure];
    return answer(
      status,
      code === 'unknown' ? unknownCode(kind) : code,
      `${error.message}; ${adviceOfFailure[error.failure]}`,
    );
  }
  if (error instanceof DigestMismatchError) return answer(502, 'UNAVAILABLE', error.message);
  if (error instanceof Error && error.name === 'TimeoutError')
    return answer(
      504,
      'UNAVAILABLE',
      'the upstream did not answer in time; try again, or pull from the registry itself',
    );
  if (isOutOfReach(error))
    return answer(
      503,
      'UNAVAILABLE',
      'the mirror cannot use its disk; its log says why, and the registry itself may answer',
    );
  return answer(500, 'UNAVAILABLE', 'the mirror failed on this request; its log says why');
}

/** Whether the log must hear of it: everything else is an answer, not a fault of ours. */
export function isOurFault(error: unknown): boolean {
  return isOutOfReach(error) || errorAnswer(error).status === 500;
}

/** The disk refuses, or there is no descriptor left to open anything on it. */
function isOutOfReach(error: unknown): boolean {
  return isDiskFault(error) || ['EMFILE', 'ENFILE'].includes(String((error as { code?: unknown } | null)?.code));
}

function answer(status: number, code: string, message: string, detail: unknown = null): ErrorAnswer {
  return { status, body: { errors: [{ code, message, detail }] } };
}
