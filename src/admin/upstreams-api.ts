// GET /api/v1/upstreams: the health and the limits of each upstream, as they are now.
import { z } from '@hono/zod-openapi';
import type { Upstreams } from '../upstream/upstreams.ts';
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';

export interface UpstreamsApiOptions {
  /** Those of now: a reload replaces them. */
  readonly upstreams: () => Pick<Upstreams, 'status'>;
}

const limitSchema = z
  .object({
    credential: z.string().openapi({ description: '"anonymous", or its place in the configuration, from "1".' }),
    limit: z.number().optional().openapi({ description: 'Pulls in a window, where the registry told a limit.' }),
    remaining: z.number().optional(),
    windowSeconds: z.number().optional(),
    retryInMs: z.number().optional().openapi({ description: 'Until it is asked again; absent when it may be now.' }),
    problem: z.string().optional().openapi({ description: 'Why it was refused last; absent since it was taken.' }),
  })
  .openapi('UpstreamLimit');

const endpointSchema = z
  .object({
    endpoint: z.string().openapi({ description: 'Its address, or the host of the token server it names.' }),
    isCircuitOpen: z.boolean().openapi({ description: 'Whether it is not asked, but for one probe now and then.' }),
    retryInMs: z.number().optional().openapi({ description: 'Until the next probe.' }),
    problem: z.string().optional().openapi({ description: 'What its last failure said; absent when all is well.' }),
    limits: z.array(limitSchema).readonly(),
  })
  .openapi('UpstreamEndpoint');

export const upstreamSchema = z
  .object({ name: z.string(), endpoints: z.array(endpointSchema).readonly() })
  .openapi('Upstream');

const schema = z.object({ upstreams: z.array(upstreamSchema).readonly() });

export function upstreamsApi({ upstreams }: UpstreamsApiOptions): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'get',
      path: '/upstreams',
      summary: 'The health and the limits of each upstream',
      answers: { 200: { description: 'those of the configuration, and unlisted ones that are in use', schema } },
    },
    (exchange) => answer(exchange, schema, { upstreams: upstreams().status() }),
  );
  return api;
}
