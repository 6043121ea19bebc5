// An upstream that must not be asked: it never dials, and says why. What of it is in the cache is served all the same.
import { type Upstream, UpstreamError } from './upstream.ts';

export interface OfflineOptions {
  readonly name: string;
  readonly label?: string;
  readonly why?: string;
}

export function offlineUpstream({ name, label = name, why = 'the mirror is offline' }: OfflineOptions): Upstream {
  const refuse = async () => {
    throw new UpstreamError('offline', `upstream ${name} is not asked: ${why}`);
  };
  return {
    name,
    label,
    answerTimeoutMs: 10_000,
    parallel: 1,
    transfers: 1,
    lastAnswerAt: Number.NEGATIVE_INFINITY,
    thrift: 1,
    resolve: refuse,
    fetchManifest: refuse,
    fetchBlob: refuse,
    proveBlob: refuse,
    listTags: refuse,
    fetchReferrers: refuse,
    isPublic: refuse,
    mayAsk: () => false,
    distrust: () => {},
    status: () => ({ name, endpoints: [] }),
    close: async () => {},
  };
}
