// The pull side of the registry protocol as the fake upstream speaks it.

import { mediaTypes } from './fake-image.ts';
import type { FakeRepository } from './fake-repository.ts';
import { accountOf } from './fake-token-server.ts';
import type { FakeUpstream, FakeUpstreamOptions } from './fake-upstream.ts';
import type { RouteKind } from './faults.ts';
import type { Exchange } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

const route = /^\/v2\/(?<name>.+)\/(?<kind>manifests|blobs|tags|referrers)\/(?<reference>[^/]+)$/;
const kinds: Record<string, RouteKind> = { manifests: 'manifest', blobs: 'blob', tags: 'tags', referrers: 'referrers' };

export function kindOfPath(path: string): RouteKind {
  if (path === '/v2/' || path === '/v2') return 'ping';
  return kinds[route.exec(path)?.groups?.kind ?? ''] ?? 'other';
}

export async function answerRegistry(
  upstream: FakeUpstream,
  exchange: Exchange,
  options: FakeUpstreamOptions,
): Promise<void> {
  const { kind } = exchange.record;
  // A forced status stands for the whole answer; what the registry thinks of the request no longer matters.
  if (exchange.effect.status !== undefined) return sendReply(exchange, {});
  const { name = '', reference = '' } = route.exec(exchange.url.pathname)?.groups ?? {};
  const refusal = refusalOf(upstream, exchange, { ...options, name });
  if (refusal) return sendError(exchange, refusal.status, refusal.code, refusal.headers);
  if (await options.afterLogin?.(exchange)) return;
  if (kind === 'ping') return sendReply(exchange, { headers: json, content: contentOf('{}') });
  const repository = upstream.repositories.get(name);
  if (repository === undefined) return sendError(exchange, 404, 'NAME_UNKNOWN');
  if (kind === 'manifest') return sendManifest(exchange, repository, reference);
  if (kind === 'blob') return sendBlob(upstream, exchange, repository, reference);
  if (kind === 'tags') return sendTags(exchange, repository);
  if (kind === 'referrers') return sendReferrers(exchange, repository, reference);
  return sendError(exchange, 404, 'UNSUPPORTED');
}

type Refusal = { readonly status: number; readonly code: string; readonly headers?: Record<string, string> };

function refusalOf(
  { tokens, repositories }: FakeUpstream,
  { record }: Exchange,
  { name, missing, hidden = 'unauthorized', basic }: FakeUpstreamOptions & { readonly name: string },
): Refusal | undefined {
  const { authorization, host } = record.headers;
  const repository = repositories.get(name);
  const account = accountOf(authorization, basic ?? []);
  const user = basic ? account?.username : tokens?.userOf(authorization);
  const isHidden = repository?.isShownTo(user) === false;
  // Who asks for one of these in vain is told to log in.
  const isGuarded = (isHidden && hidden === 'unauthorized') || (missing === 'unauthorized' && !repository);
  if (tokens) {
    const scope = name === '' ? '' : `repository:${name}:pull`;
    const isGood = scope !== '' && tokens.permits(authorization, scope);
    if (!isGood || isGuarded) return challenge(tokens.challenge(scope, host));
  } else if (basic && !account) {
    const needsLogin = isHidden || isGuarded || authorization !== undefined;
    if (needsLogin) return challenge('Basic realm="fake upstream"');
  }
  if (!isHidden) return undefined;
  if (hidden === 'not-found') return { status: 404, code: 'NAME_UNKNOWN' };
  // A token from before the repository was private is worth nothing either.
  return { status: hidden === 'unauthorized' ? 401 : 403, code: 'DENIED' };
}

function challenge(text: string): Refusal {
  return { status: 401, code: 'UNAUTHORIZED', headers: { 'www-authenticate': text } };
}

const json = { 'content-type': 'application/json' };

function sendError(exchange: Exchange, status: number, code: string, headers = {}): Promise<void> {
  const content = contentOf(JSON.stringify({ errors: [{ code, message: `the fake upstream says ${code}` }] }));
  return sendReply(exchange, { status, headers: { ...json, ...headers }, content });
}

function sendManifest(exchange: Exchange, repository: FakeRepository, reference: string): Promise<void> {
  const manifest = repository.manifest(reference);
  if (manifest === undefined) return sendError(exchange, 404, 'MANIFEST_UNKNOWN');
  const { mediaType, content } = manifest;
  return sendReply(exchange, {
    headers: { 'content-type': mediaType, 'docker-content-digest': content.digest, etag: `"${content.digest}"` },
    content,
  });
}

function sendBlob(
  upstream: FakeUpstream,
  exchange: Exchange,
  repository: FakeRepository,
  digest: string,
): Promise<void> {
  const content = repository.blobs.get(digest);
  if (content === undefined) return sendError(exchange, 404, 'BLOB_UNKNOWN');
  if (upstream.cdn && exchange.request.method === 'GET') {
    const location = `${upstream.cdn.url}/data/${digest}?signature=abc`;
    return sendReply(exchange, { status: 307, headers: { location, 'set-cookie': 'session=1' } });
  }
  return sendReply(exchange, {
    headers: { 'content-type': 'application/octet-stream', 'docker-content-digest': digest },
    content,
    acceptsRanges: true,
  });
}

function sendTags(exchange: Exchange, repository: FakeRepository): Promise<void> {
  const { searchParams } = exchange.url;
  const last = searchParams.get('last') ?? '';
  const limit = Number(searchParams.get('n') ?? '0') || Infinity;
  const later = [...repository.tags.keys()].sort().filter((tag) => tag > last);
  const tags = later.slice(0, limit);
  const query = new URLSearchParams({ n: String(limit), last: tags.at(-1) ?? '' });
  const link = later.length > tags.length ? { link: `</v2/${repository.name}/tags/list?${query}>; rel="next"` } : {};
  const content = contentOf(JSON.stringify({ name: repository.name, tags }));
  return sendReply(exchange, { headers: { ...json, ...link }, content });
}

function sendReferrers(exchange: Exchange, repository: FakeRepository, digest: string): Promise<void> {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: repository.referrers(digest) };
  return sendReply(exchange, {
    headers: { 'content-type': mediaTypes.ociIndex },
    content: contentOf(JSON.stringify(index)),
  });
}
