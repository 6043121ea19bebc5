// PUT and DELETE of /api/v1/images/IMAGE/pin: what stays, whoever needs room.
import { OciError } from '../oci/errors.ts';
import type { NamedImage } from '../oci/image-name.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Pin, Records } from '../store/records.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { pathOf, refuse } from './admin-exchange.ts';
import { type AdminApi, addOperation, newApi } from './api-operation.ts';
import { parseImagePath } from './image-path.ts';

export interface PinsApiOptions {
  readonly upstreams: () => Pick<Upstreams, 'route'>;
  readonly records: Pick<Records, 'pin' | 'unpin' | 'pins'>;
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
      answers: { 204: { description: 'it may go when room is needed' } },
      refusals: { 404: 'it is not pinned' },
    },
    (exchange) => {
      const image = parseImagePath(pathOf(exchange), form);
      const reference = formatReference(image.reference);
      const pin = findPin(image, reference);
      if (!pin) return refuse(exchange, 404, `nothing is pinned as ${image.name} ${reference}`);
      records.unpin(pin.repository, reference);
      return exchange.body(null, 204);
    },
  );

  /** By its whole name as well: what is not configured any more, or may not be pulled any more, can still be let go. */
  function findPin({ name }: NamedImage, reference: string): Pin | undefined {
    const names = [name, fullName(name)];
    return records
      .pins()
      .find((pin) => formatReference(pin.reference) === reference && names.includes(formatRepository(pin.repository)));
  }

  function fullName(name: string): string | undefined {
    try {
      return formatRepository(upstreams().route(name, nowhereElse).repository);
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  }

  return api;
}
