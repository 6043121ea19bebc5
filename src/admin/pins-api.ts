// PUT and DELETE of /api/v1/images/IMAGE/pin: what stays, whoever needs room.
import { OciError } from '../oci/errors.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Pin, Records } from '../store/records.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { pathOf, refuse } from './admin-exchange.ts';
import { type AdminApi, addOperation, newApi } from './api-operation.ts';
import { parseImagePath, parsePartialImagePath } from './image-path.ts';

export interface PinsApiOptions {
  readonly upstreams: () => Pick<Upstreams, 'route'>;
  readonly records: Pick<Records, 'pin' | 'unpin' | 'pins' | 'repositoriesFrom'>;
}

const path = '/images/{image}/pin';
const form = /^\/api\/v1\/images\/(.+)\/pin$/;
const nowhereElse = { ns: undefined, prefix: undefined };

export function pinsApi({ upstreams, records }: PinsApiOptions): AdminApi {
  const api = newApi();

  addOperation(
    api,
    {
      method: 'put',
      path,
      summary: 'Keep an image, whoever needs room: REPO, REPO:TAG or REPO@DIGEST',
      answers: { 204: { description: 'it is pinned, from its next pull on if it is not cached yet' } },
      refusals: { 403: 'it may not be pulled', 404: 'its registry is not configured' },
    },
    (exchange) => {
      const { name, reference } = parseImagePath(pathOf(exchange), form);
      const { repository } = upstreams().route(name, nowhereElse);
      records.pin(repository, formatReference(reference));
      return exchange.body(null, 204);
    },
  );

  addOperation(
    api,
    {
      method: 'delete',
      path,
      summary: 'Let go of a pinned image',
      description:
        'REPO alone is its tag latest, unless a repository is cached whose whole name is REPO/pin: then the tag has to be ' +
        'written. All of that repository is forgotten by DELETE /images with `repository`.',
      answers: { 204: { description: 'it may go when room is needed' } },
      refusals: { 404: 'it is not pinned', 409: 'the path may as well mean a repository that is cached' },
    },
    (exchange) => {
      const { name, reference: written } = parsePartialImagePath(pathOf(exchange), form);
      if (!written && isCached(`${name}/pin`)) return refuse(exchange, 409, eitherOf(name));
      const reference = written ? formatReference(written) : 'latest';
      const pin = findPin(name, reference);
      if (!pin)
        return refuse(exchange, 404, `nothing is pinned as ${name}${reference.includes(':') ? '@' : ':'}${reference}`);
      records.unpin(pin.repository, reference);
      return exchange.body(null, 204);
    },
  );

  /** Whoever means to forget that repository would let go of an image instead. */
  function isCached(name: string): boolean {
    return namesOf(name).some((each) => {
      const [next] = records.repositoriesFrom(each, 1);
      return next !== undefined && formatRepository(next) === each;
    });
  }

  function findPin(name: string, reference: string): Pin | undefined {
    const names = namesOf(name);
    return records
      .pins()
      .find((pin) => formatReference(pin.reference) === reference && names.includes(formatRepository(pin.repository)));
  }

  /** Its whole name as well: what is not configured any more, or may not be pulled any more, can still be let go. */
  function namesOf(name: string): readonly string[] {
    try {
      return [name, formatRepository(upstreams().route(name, nowhereElse).repository)];
    } catch (error) {
      if (error instanceof OciError) return [name];
      throw error;
    }
  }

  return api;
}

function eitherOf(name: string): string {
  const unpin = `DELETE /api/v1/images/${name}:latest/pin to unpin ${name}:latest`;
  const forget = `DELETE /api/v1/images?repository=${name}/pin to forget it`;
  return `${name}/pin is a repository that is cached, too: write ${unpin}, or ${forget}`;
}
