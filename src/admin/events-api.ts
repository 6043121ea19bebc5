// GET /api/v1/events: the status and the fills as they change, for as long as somebody watches.
import { z } from '@hono/zod-openapi';
import { type AdminApi, addOperation, newApi } from './api-operation.ts';
import { EventSampler, type EventSources } from './event-sampler.ts';
import type { LongAnswers } from './long-answers.ts';

export interface EventsApiOptions extends EventSources {
  readonly running: LongAnswers;
}

const most = 50;
const kind = { name: 'events', most, full: `${most} event streams are open already; close one of them` };
const type = 'text/event-stream';
const reconnectMs = 2000;

export function eventsApi({ running, ...sources }: EventsApiOptions): AdminApi {
  const api = newApi();
  const sampler = new EventSampler(sources);
  addOperation(
    api,
    {
      method: 'get',
      path: '/events',
      summary: 'Server-sent events: the status and the fills as they change',
      answers: {
        200: {
          description:
            'event "status" (data: Status) at once and every 2 s; event "fills" (data: as GET /fills) every second while there are any, and once when they end',
          schema: z.string(),
          mediaType: type,
        },
      },
      refusals: { 409: 'too many are open already' },
    },
    (exchange) =>
      running.run(exchange, kind, async ({ signal, begin }) => {
        const answer = begin({ type, heartbeat: ': heartbeat\n\n' });
        if (exchange.env.incoming.method !== 'HEAD') {
          answer.send(`retry: ${reconnectMs}\n\n`);
          // A reader that is behind is told how things are now, and not how they were.
          using _ = sampler.follow((event, text) => answer.send(text, event));
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        }
        answer.end();
      }),
  );
  return api;
}
