// GET /api/v1/fills: the blobs that arrive right now.
import { z } from '@hono/zod-openapi';
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';

export const fillSchema = z
  .object({
    digest: z.string(),
    repository: z.string().openapi({ description: 'The one whose pull began it, with its registry.' }),
    upstream: z.string(),
    sizeBytes: z.number().optional().openapi({ description: 'Absent until it is known.' }),
    receivedBytes: z.number(),
    bytesPerSecond: z.number().openapi({ description: 'Of the last few seconds.' }),
    readers: z.number().openapi({ description: 'Clients that read it as it grows.' }),
    isWanted: z.boolean().openapi({ description: 'Whether a client asked for it, or it comes ahead of that.' }),
    state: z.enum(['waiting', 'arriving', 'verifying']),
    startedAt: z.number().openapi({ description: 'Milliseconds of the epoch.' }),
  })
  .openapi('Fill');

export type FillFigures = z.input<typeof fillSchema>;

export interface FillsApiOptions {
  readonly fills: { status(): readonly FillFigures[] };
}

const schema = z.object({ fills: z.array(fillSchema).readonly() });

export function fillsApi({ fills }: FillsApiOptions): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'get',
      path: '/fills',
      summary: 'The blobs that arrive right now',
      answers: { 200: { description: 'one for each blob, however many clients wait for it', schema } },
    },
    (exchange) => answer(exchange, schema, { fills: fills.status() }),
  );
  return api;
}
