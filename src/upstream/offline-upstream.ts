// An upstream that the configuration forbids to ask: it never dials, and says why.
import { type Upstream, UpstreamError } from './upstream.ts';

export function offlineUpstream({ name, label = name }: { name: string; label?: string }): Upstream {
  const refuse = async () => {
    throw new UpstreamError('offline', `upstream ${name} is not asked: the mirror is offline`);
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
    mayAsk: () => false,
    distrust: () => {},
    status: () => ({ name, endpoints: [] }),
    close: async () => {},
  };
}
