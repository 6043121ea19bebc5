// /api/v1/images and /api/v1/blobs: what is cached, for people, and forgetting it.
import { HTTPException } from 'hono/http-exception';
import type { Images } from '../mirror/images/images.ts';
import type { Purge, Purged, PurgeTarget } from '../mirror/images/purge.ts';
import { parseDigest } from '../oci/digest.ts';
import { formatImage } from '../oci/image-name.ts';
import type { Reference } from '../oci/reference.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { type AdminExchange, departureOf, namedImages, pathOf, tellAbout } from './admin-exchange.ts';
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';
import { cachedRepository } from './cached-repository.ts';
import { parsePartialImagePath } from './image-path.ts';
import { imagePageSchema, imagesSchema, listQuery, purgedSchema, purgeQuery } from './image-schemas.ts';

export interface ImagesApiOptions {
  readonly images: Pick<Images, 'list' | 'find'>;
  readonly purge: Pick<Purge, 'run'>;
  readonly upstreams: () => Pick<Upstreams, 'route'>;
}

const imageForm = /^\/api\/v1\/images\/(.+)$/;
const usualLimit = 100;
const notCached = 'nothing is cached under that name';

export function imagesApi({ images, purge, upstreams }: ImagesApiOptions): AdminApi {
  const api = newApi();

  addOperation(
    api,
    {
      method: 'get',
      path: '/images',
      summary: 'What is cached',
      query: listQuery,
      answers: { 200: { description: 'a page of it', schema: imagePageSchema } },
    },
    async (exchange, { query: { limit = usualLimit, ...query } }) =>
      answer(exchange, imagePageSchema, await images.list({ ...query, limit }, departureOf(exchange))),
  );

  addOperation(
    api,
    {
      method: 'get',
      path: '/images/{image}',
      summary: 'One image, or all of a repository: REPO, REPO:TAG or REPO@DIGEST',
      answers: { 200: { description: 'at least one', schema: imagesSchema } },
      refusals: { 404: notCached },
    },
    async (exchange) => {
      const { repository, reference } = named(exchange);
      const found = await images.find(repository, reference, departureOf(exchange));
      if (found.length === 0) throw nothingCached(repository, reference);
      return answer(exchange, imagesSchema, { images: found });
    },
  );

  addOperation(
    api,
    {
      method: 'delete',
      path: '/images',
      summary: 'Forget every image that matches a glob, or all of a repository, whatever its name ends in',
      query: purgeQuery,
      answers: { 200: { description: 'what was forgotten; of a glob that may be nothing', schema: purgedSchema } },
      refusals: { 404: 'nothing of that repository is cached' },
    },
    async (exchange, { query: { match, repository: name = '' } }) => {
      if (match !== undefined) {
        tellAbout(exchange, { match });
        return answer(exchange, purgedSchema, await forget(exchange, { match }));
      }
      const repository = cachedRepository(name, upstreams());
      tellAbout(exchange, { repository: formatRepository(repository) });
      return forgetNamed(exchange, repository, undefined);
    },
  );

  addOperation(
    api,
    {
      method: 'delete',
      path: '/images/{image}',
      summary: 'Forget one image, or all of a repository: REPO, REPO:TAG or REPO@DIGEST',
      description:
        'A REPO whose name ends in /pin is given to DELETE /images as `repository`: here its end means the pin.',
      answers: { 200: { description: 'what was forgotten', schema: purgedSchema } },
      refusals: { 404: notCached, 409: 'it is pinned' },
    },
    async (exchange) => {
      const { repository, reference } = named(exchange);
      return forgetNamed(exchange, repository, reference);
    },
  );

  addOperation(
    api,
    {
      method: 'delete',
      path: '/blobs/{digest}',
      summary: 'Forget one blob or manifest wherever it is, a damaged one for example',
      answers: { 200: { description: 'what was forgotten', schema: purgedSchema } },
      refusals: { 404: 'nothing is cached under that digest', 409: 'something that is pinned needs it' },
    },
    async (exchange) => {
      const text = exchange.req.param('digest') ?? '';
      const digest = parseDigest(text);
      if (!digest) throw new HTTPException(400, { message: `not a sha256 or sha512 digest: ${JSON.stringify(text)}` });
      const purged = await forget(exchange, { digest });
      if (isNothing(purged)) throw new HTTPException(404, { message: `nothing is cached as ${digest}` });
      return answer(exchange, purgedSchema, purged);
    },
  );

  function named(exchange: AdminExchange) {
    const { name, reference } = parsePartialImagePath(pathOf(exchange), imageForm);
    return { repository: cachedRepository(name, upstreams()), reference };
  }

  async function forget(exchange: AdminExchange, target: PurgeTarget): Promise<Purged> {
    const purged = await purge.run(target, departureOf(exchange));
    const { images: gone, imageCount, blobs, bytes, pinned } = purged;
    tellAbout(exchange, { ...namedImages(gone, imageCount), blobs, bytes, pinned: pinned.length });
    return purged;
  }

  async function forgetNamed(exchange: AdminExchange, repository: Repository, reference: Reference | undefined) {
    const purged = await forget(exchange, { repository, reference });
    if (isNothing(purged)) throw nothingCached(repository, reference);
    return answer(exchange, purgedSchema, purged);
  }

  return api;
}

function isNothing({ imageCount, blobs, pinned }: Purged): boolean {
  return imageCount === 0 && blobs === 0 && pinned.length === 0;
}

function nothingCached(repository: Repository, reference: Reference | undefined): HTTPException {
  const name = reference ? formatImage(repository, reference) : formatRepository(repository);
  return new HTTPException(404, { message: `nothing is cached as ${name}` });
}
