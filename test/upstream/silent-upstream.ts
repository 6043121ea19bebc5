// An upstream for tests of the way to it: whoever asks it anything has gone too far.
import type { Upstream } from '../../src/upstream/upstream.ts';
import type { UpstreamEntry } from '../../src/upstream/upstreams.ts';

export function silent(name: string): Upstream {
  const never = () => Promise.reject(new Error(`${name} was asked`));
  return {
    name,
    label: name,
    parallel: 4,
    transfers: 24,
    answerTimeoutMs: 1000,
    lastAnswerAt: Number.NEGATIVE_INFINITY,
    thrift: 1,
    resolve: never,
    fetchManifest: never,
    fetchBlob: never,
    proveBlob: never,
    listTags: never,
    fetchReferrers: never,
    isPublic: never,
    mayAsk: () => true,
    distrust: () => {},
    status: () => ({ name, endpoints: [] }),
    close: () => Promise.resolve(),
  };
}

export function silentEntry(name: string): UpstreamEntry {
  return { upstream: silent(name) };
}
