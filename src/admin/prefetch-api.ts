// POST and GET of /api/v1/prefetch: images brought into the cache ahead of their pulls, told line by line.
import { z } from '@hono/zod-openapi';
import { HTTPException } from 'hono/http-exception';
import { OciError } from '../oci/errors.ts';
import { parseImageName } from '../oci/image-name.ts';
import type { Platform } from '../oci/platform.ts';
import { namedImages, tellAbout } from './admin-exchange.ts';
import { type AdminApi, addOperation, answer, newApi } from './api-operation.ts';
import { lineSchemas } from './line-schemas.ts';
import { type LongAnswers, linesType } from './long-answers.ts';
import { parsePlatforms } from './platforms.ts';

const event = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('image'),
    image: z.string().openapi({ description: 'As it was routed, with its registry.' }),
    state: z.enum(['started', 'done', 'failed', 'skipped']),
    digest: z.string().optional(),
    error: z.string().optional(),
    platforms: z.array(z.string()).readonly().optional(),
    bytes: z.number().optional().openapi({ description: 'Fetched from upstreams.' }),
  }),
  z.object({
    type: z.literal('layer'),
    image: z.string(),
    digest: z.string(),
    sizeBytes: z.number(),
    receivedBytes: z.number(),
    state: z.enum(['waiting', 'arriving', 'done', 'present', 'failed']),
    error: z.string().optional(),
  }),
  z.object({ type: z.literal('done'), images: z.number(), failed: z.number(), bytes: z.number() }),
]);

export type PrefetchLine = z.input<typeof event>;

export const prefetchSchema = z
  .object({
    id: z.string(),
    startedAt: z.number().openapi({ description: 'Milliseconds of the epoch.' }),
    images: z.number().openapi({ description: 'Asked for.' }),
    done: z.number(),
    failed: z.number(),
    receivedBytes: z.number(),
    isScheduled: z.boolean().openapi({ description: 'Begun by prefetch.schedule, and not by a person.' }),
  })
  .openapi('Prefetch');

export interface PrefetchApiOptions {
  readonly prefetcher: {
    run(
      request: { images: readonly string[]; platforms: readonly Platform[] | 'all'; isPatient: boolean },
      how: { signal: AbortSignal; onEvent: (event: PrefetchLine) => void },
    ): Promise<unknown>;
    status(): readonly z.input<typeof prefetchSchema>[];
  };
  readonly running: LongAnswers;
}

const mostImages = 1000;
const mostRunning = 4;
const kind = {
  name: 'prefetch',
  most: mostRunning,
  full: `${mostRunning} prefetches are running already; wait for one of them to end`,
};

const body = z
  .strictObject({
    images: z
      .array(z.string(), 'write a list of images: REPO, REPO:TAG or REPO@DIGEST')
      .min(1, 'name at least one image')
      .max(mostImages, `name at most ${mostImages} images at once`),
    platforms: z
      .array(z.string())
      .min(1, 'name at least one platform, or leave them out')
      .max(20, 'name at most 20 platforms, or ask for all with allPlatforms')
      .optional()
      .openapi({ example: ['linux/amd64'], description: 'Without them, the platform of the mirror itself.' }),
    allPlatforms: z.boolean().optional(),
  })
  .openapi('PrefetchWish');

const running = z.object({ prefetches: z.array(prefetchSchema).readonly() });

export function prefetchApi({ prefetcher, running: answers }: PrefetchApiOptions): AdminApi {
  const api = newApi();

  addOperation(
    api,
    {
      method: 'post',
      path: '/prefetch',
      summary: 'Bring images into the cache',
      body,
      answers: {
        200: {
          description: 'a line for each event, the last of them "done" or "error"; it ends when the client leaves',
          schema: z.union([event, ...lineSchemas]).openapi('PrefetchLine'),
          mediaType: linesType,
        },
      },
      refusals: { 409: 'too many are running already' },
    },
    (exchange, { body: { images, platforms, allPlatforms = false } }) => {
      for (const image of images) checkImage(image);
      if (allPlatforms && platforms) throw wrong('platforms: leave them out, or allPlatforms');
      // None at all stands for the mirror's own.
      const wish = allPlatforms ? 'all' : parsePlatforms(platforms ?? []);
      const named = allPlatforms ? ['all'] : platforms;
      tellAbout(exchange, { ...namedImages(images), ...(named && { platforms: named }) });
      return answers.lines(exchange, kind, async ({ signal, send }) => {
        const onEvent = (said: PrefetchLine) => {
          if (said.type === 'done') tellAbout(exchange, { failed: said.failed, bytes: said.bytes });
          send(said, keyOf(said));
        };
        await prefetcher.run({ images, platforms: wish, isPatient: false }, { signal, onEvent });
      });
    },
  );

  addOperation(
    api,
    {
      method: 'get',
      path: '/prefetch',
      summary: 'The prefetches that are running',
      answers: { 200: { description: 'those of people and those of the schedule', schema: running } },
    },
    (exchange) => answer(exchange, running, { prefetches: prefetcher.status() }),
  );

  return api;
}

/** Where the reader is behind, the last word on an image or a layer says all. */
function keyOf(said: PrefetchLine): string {
  return said.type === 'done' ? said.type : `${said.type} ${said.image} ${said.digest ?? ''}`;
}

function checkImage(image: string): void {
  try {
    parseImageName(image);
  } catch (error) {
    if (error instanceof OciError) throw wrong(`images: ${error.message}`);
    throw error;
  }
}

function wrong(message: string): HTTPException {
  return new HTTPException(400, { message });
}
