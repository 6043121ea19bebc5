// POST /api/v1/reload: the configuration read again, or refused as a whole.
import { z } from '@hono/zod-openapi';
import { reasonOf, refuse } from './admin-exchange.ts';
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';

const keyPaths = z.array(z.string()).readonly();

const schema = z
  .object({
    changed: keyPaths.openapi({ description: 'Key paths in effect from now on.' }),
    needsRestart: keyPaths.openapi({ description: 'Key paths that have changed and wait for a restart.' }),
  })
  .openapi('Reload');

export interface ReloadApiOptions {
  /** Rejects with one line that says what is wrong. */
  readonly reload: () => Promise<z.input<typeof schema>>;
}

export function reloadApi({ reload }: ReloadApiOptions): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'post',
      path: '/reload',
      summary: 'Read the configuration again',
      answers: { 200: { description: 'it is in effect', schema } },
      refusals: { 422: 'what is wrong with it; the one before goes on' },
    },
    async (exchange) => {
      try {
        return answer(exchange, schema, await reload());
      } catch (error) {
        return refuse(exchange, 422, reasonOf(error));
      }
    },
  );
  return api;
}
