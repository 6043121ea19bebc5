// PUT and DELETE of /api/v1/images/IMAGE/pin: what stays, whoever needs room.
import { Hono } from 'hono';
import { OciError } from '../oci/errors.ts';
import type { NamedImage } from '../oci/image-name.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Pin, Records } from '../store/records.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { type AdminEnv, pathOf, refuse } from './admin-exchange.ts';
import { parseImagePath } from './image-path.ts';

export interface PinsApiOptions {
  readonly upstreams: Pick<Upstreams, 'route'>;
  readonly records: Pick<Records, 'pin' | 'unpin' | 'pins'>;
}

const route = '/images/:image{.+}/pin';
const form = /^\/api\/v1\/images\/(.+)\/pin$/;
const nowhereElse = { ns: undefined, prefix: undefined };

/** To be mounted at /api/v1. */
export function pinsApi({ upstreams, records }: PinsApiOptions): Hono<AdminEnv> {
  const api = new Hono<AdminEnv>();

  api.put(route, (exchange) => {
    const { name, reference } = parseImagePath(pathOf(exchange), form);
    const { repository } = upstreams.route(name, nowhereElse);
    records.pin(repository, formatReference(reference));
    return exchange.body(null, 204);
  });

  api.delete(route, (exchange) => {
    const image = parseImagePath(pathOf(exchange), form);
    const reference = formatReference(image.reference);
    const pin = findPin(image, reference);
    if (!pin) return refuse(exchange, 404, `nothing is pinned as ${image.name} ${reference}`);
    records.unpin(pin.repository, reference);
    return exchange.body(null, 204);
  });

  /** By its whole name as well: what is not configured any more, or may not be pulled any more, can still be let go. */
  function findPin({ name }: NamedImage, reference: string): Pin | undefined {
    const names = [name, fullName(name)];
    return records
      .pins()
      .find((pin) => formatReference(pin.reference) === reference && names.includes(formatRepository(pin.repository)));
  }

  function fullName(name: string): string | undefined {
    try {
      return formatRepository(upstreams.route(name, nowhereElse).repository);
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  }

  return api;
}
