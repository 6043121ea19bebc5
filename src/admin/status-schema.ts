// What the API says of the whole mirror at a glance.
import { z } from '@hono/zod-openapi';
import { prefetchSchema } from './prefetch-api.ts';
import { upstreamSchema } from './upstreams-api.ts';

const epochMs = z.number().openapi({ description: 'Milliseconds of the epoch.' });

const requestsSchema = z.object({
  hit: z.number().openapi({ description: 'From the cache, without asking anybody.' }),
  miss: z.number().openapi({ description: 'Fetched because of the request.' }),
  joined: z.number().openapi({ description: 'Taken from a transfer that another request had begun.' }),
  revalidated: z.number().openapi({ description: 'From the cache, after the upstream confirmed it.' }),
  stale: z.number().openapi({ description: 'From the cache, because the upstream could not be asked.' }),
  failed: z.number().openapi({ description: 'Answered with 500 or more.' }),
});

const cacheSchema = z.object({
  dir: z.string(),
  bytes: z.number(),
  blobs: z.number().openapi({ description: 'Blobs and manifests.' }),
  budgetBytes: z.number().openapi({ description: 'What the cache may take of the disk right now.' }),
  freeBytes: z.number().nullable().openapi({ description: 'Of the disk; null when it does not answer.' }),
  isWritable: z.boolean(),
  problem: z.string().nullable().openapi({ description: 'Why pulls are streamed past the disk.' }),
});

export const statusSchema = z
  .object({
    version: z.string(),
    startedAt: epochMs,
    uptimeSeconds: z.number(),
    isOffline: z.boolean(),
    requests: requestsSchema.openapi({ description: 'For manifests and blobs, since the start.' }),
    hitRatio: z.number().nullable().openapi({
      description: 'Of those that were answered: hit, revalidated and stale by all; null before the first.',
    }),
    servedBytes: z.number(),
    upstreamBytes: z.number(),
    savedBytes: z.number().openapi({ description: 'What was served beyond what came from upstreams.' }),
    fillsInFlight: z.number(),
    cache: cacheSchema,
    upstreams: z.array(upstreamSchema).readonly(),
    prefetches: z.array(prefetchSchema).readonly(),
    schedule: z
      .array(z.object({ images: z.array(z.string()).readonly(), at: epochMs }))
      .readonly()
      .openapi({ description: 'The next run of each entry of prefetch.schedule.' }),
    lastReload: z
      .object({ at: epochMs, error: z.string().nullable(), needsRestart: z.array(z.string()).readonly() })
      .nullable(),
    readiness: z
      .array(z.object({ name: z.string(), problem: z.string().nullable() }))
      .readonly()
      .openapi({ description: 'What /readyz goes by.' }),
  })
  .openapi('Status');

export type Status = z.input<typeof statusSchema>;
