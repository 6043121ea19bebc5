// POST /api/v1/verify: everything that is stored hashed again, told line by line.
import { z } from '@hono/zod-openapi';
import { tellAbout } from './admin-exchange.ts';
import { type AdminApi, addOperation, newApi } from './api-operation.ts';
import { lineSchemas } from './line-schemas.ts';
import { type LongAnswers, linesType } from './long-answers.ts';

const event = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    checkedBlobs: z.number(),
    totalBlobs: z.number(),
    checkedBytes: z.number(),
    totalBytes: z.number(),
  }),
  z.object({
    type: z.enum(['damaged', 'missing', 'unread']),
    digest: z.string(),
    sizeBytes: z.number(),
    found: z.string().optional().openapi({ description: 'What its bytes hash to, or why they cannot be read.' }),
    isDropped: z.boolean().openapi({ description: 'Whether it was removed: the next pull fetches it again.' }),
  }),
  z.object({
    type: z.literal('done'),
    checkedBlobs: z.number(),
    checkedBytes: z.number(),
    damaged: z.number(),
    missing: z.number(),
    unread: z.number().openapi({ description: 'Could not be read, and so not checked; never removed.' }),
    dropped: z.number(),
  }),
]);

export type VerifyLine = z.input<typeof event>;

export interface VerifyApiOptions {
  readonly verify: (options: {
    readonly repair: boolean;
    readonly signal: AbortSignal;
    readonly onEvent: (event: VerifyLine) => void;
  }) => Promise<unknown>;
  readonly running: LongAnswers;
}

const body = z
  .strictObject({
    repair: z
      .boolean()
      .optional()
      .openapi({ description: 'Remove what lies, so that the next pull fetches it again.' }),
  })
  .openapi('VerifyWish');

const kind = { name: 'verify', most: 1, full: 'a verify is running already; wait for its end' };

export function verifyApi({ verify, running }: VerifyApiOptions): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'post',
      path: '/verify',
      summary: 'Hash everything that is stored again',
      body,
      answers: {
        200: {
          description: 'a line for each event, the last of them "done" or "error"; it ends when the client leaves',
          schema: z.union([event, ...lineSchemas]).openapi('VerifyLine'),
          mediaType: linesType,
        },
      },
      refusals: { 409: 'one is running already' },
    },
    (exchange, { body: { repair = false } }) => {
      tellAbout(exchange, { repair });
      return running.lines(exchange, kind, async ({ signal, send }) => {
        const onEvent = (said: VerifyLine) => {
          if (said.type === 'done') {
            const { damaged, missing, dropped } = said;
            tellAbout(exchange, { damaged, missing, dropped });
          }
          send(said, said.type === 'progress' ? said.type : undefined);
        };
        await verify({ repair, signal, onEvent });
      });
    },
  );
  return api;
}
