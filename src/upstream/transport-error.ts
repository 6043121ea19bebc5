// Why a request got no answer, or an answer broke off, in words that tell an operator where to look.
import { errors } from 'undici';
import { UpstreamError } from './upstream.ts';

const untrusted = 'its certificate is not signed by an authority that we trust';
const reasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: is the clock right?',
  CERT_REVOKED: 'its certificate was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  EAI_AGAIN: 'the DNS did not answer',
  EBADNAME: 'its name is none',
  ENODATA: 'the DNS has no address for its name',
  ENOTFOUND: 'the DNS does not know its name',
  EREFUSED: 'the DNS does not answer us',
  ESERVFAIL: 'the DNS could not find out its address',
  ETIMEOUT: 'the DNS did not answer in time',
  EPROTO: 'it does not speak TLS as we do',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UND_ERR_SOCKET: 'it closed the connection',
};

export function transportError(error: unknown, name: string, host: string): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const isLate =
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError ||
    (error instanceof Error && error.name === 'TimeoutError');
  const what = isLate ? 'did not answer in time' : 'could not be reached';
  const message = `upstream ${name} ${what}: ${host}: ${reasonOf(error, name)}`;
  return new UpstreamError(isLate ? 'timeout' : 'unreachable', message, { cause: error });
}

function reasonOf(error: unknown, name: string): string {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code !== 'string') return message ?? String(error);
  const reason = reasons[code];
  if (reason === undefined) return code;
  const remedy = reason === untrusted ? `; upstreams.${name}.caFile may name one` : '';
  return `${reason} (${code})${remedy}`;
}
