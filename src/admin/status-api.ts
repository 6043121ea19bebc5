// GET /api/v1/status: the whole mirror at a glance.
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';
import type { StatusReport } from './status-report.ts';
import { statusSchema } from './status-schema.ts';

export function statusApi(report: StatusReport): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'get',
      path: '/status',
      summary: 'The whole mirror at a glance',
      answers: { 200: { description: 'as it was within the last second', schema: statusSchema } },
    },
    async (exchange) => answer(exchange, statusSchema, await report.get()),
  );
  return api;
}
