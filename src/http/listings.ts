// Lists: the tags of a repository, what refers to a digest, and the repositories that are cached here.
import type { Mirror } from '../mirror/mirror.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Source } from '../upstream/upstreams.ts';
import { beforeAnswer, type Exchange } from './exchange.ts';
import type { PullPath } from './pull-path.ts';

const pageSize = 1000;

export async function sendTags(
  exchange: Exchange,
  mirror: Mirror,
  source: Source,
  name: string,
  path: PullPath,
): Promise<Response> {
  const { n, last } = page(path.query);
  // "n may be zero": an empty list, and no link to a next one (distribution-spec, listing tags).
  if (n === 0) return exchange.json({ name, tags: [] });
  const query = { n, ...(last !== undefined && { last }) };
  const listed = await beforeAnswer(exchange, source, (signal) => mirror.listTags(source, query, signal));
  if (!listed)
    throw new OciError('NAME_UNKNOWN', `${formatRepository(source.repository)} does not exist upstream, or is private`);
  if (listed.last !== undefined) exchange.header('link', nextLink(exchange, path, n, listed.last));
  return exchange.json({ name, tags: listed.tags });
}

export async function sendReferrers(
  exchange: Exchange,
  mirror: Mirror,
  source: Source,
  digest: Digest,
  path: PullPath,
): Promise<Response> {
  const artifactType = path.query.get('artifactType') || undefined;
  const index = await beforeAnswer(exchange, source, (signal) =>
    mirror.listReferrers(source, digest, artifactType, signal),
  );
  if (artifactType !== undefined) exchange.header('oci-filters-applied', 'artifactType');
  return exchange.body(index as Uint8Array<ArrayBuffer>, 200, { 'content-type': mediaTypes.ociIndex });
}

/** Only what the caller may pull; the last of a page may be the last of all, when nothing that follows is for the caller. */
export async function sendCatalog(
  exchange: Exchange,
  mirror: Mirror,
  { path, isListed }: { readonly path: PullPath; readonly isListed: (name: string) => boolean },
): Promise<Response> {
  const { n, last } = page(path.query);
  if (n === 0) return exchange.json({ repositories: [] });
  const found: string[] = [];
  for (let looked: string | undefined = last, isEnd = false; found.length <= n && !isEnd; ) {
    const names = mirror.listRepositories(pageSize, looked);
    found.push(...names.filter(isListed));
    looked = names.at(-1);
    isEnd = names.length < pageSize;
    // Others get a turn between pages: a cache may know many thousands that are not for this caller.
    if (!isEnd) await new Promise((resolve) => setImmediate(resolve));
  }
  const shown = found.slice(0, n);
  const next = found.length > n ? shown.at(-1) : undefined;
  if (next !== undefined) exchange.header('link', nextLink(exchange, path, n, next));
  return exchange.json({ repositories: shown });
}

function page(query: URLSearchParams): { n: number; last: string | undefined } {
  const text = query.get('n');
  if (text !== null && !/^\d{1,9}$/.test(text))
    throw new OciError('PAGINATION_NUMBER_INVALID', `n is not a number: ${JSON.stringify(text)}`);
  return { n: text === null ? pageSize : Math.min(pageSize, Number(text)), last: query.get('last') ?? undefined };
}

/** Our own path, relative: what an upstream wrote into its Link never reaches a client. */
function nextLink(exchange: Exchange, { query }: PullPath, n: number, last: string): string {
  const next = new URLSearchParams(query);
  next.set('n', String(n));
  next.set('last', last);
  const path = (exchange.env.incoming.url ?? '').split('?', 1)[0];
  return `<${path}?${next}>; rel="next"`;
}
