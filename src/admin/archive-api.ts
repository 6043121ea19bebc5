// POST /api/v1/import and GET /api/v1/export: images in and out as archives, streamed.
import { z } from '@hono/zod-openapi';
import { parseImageName } from '../oci/image-name.ts';
import type { Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { namedImages, tellAbout } from './admin-exchange.ts';
import { type AdminApi, addOperation, newApi } from './api-operation.ts';
import { cachedRepository } from './cached-repository.ts';
import { lineSchemas } from './line-schemas.ts';
import { type LongAnswers, linesType } from './long-answers.ts';
import { parsePlatforms } from './platforms.ts';
import { bodyOf } from './request-body.ts';

const event = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    receivedBytes: z.number().openapi({ description: 'Of the archive, as it was sent.' }),
  }),
  z.object({ type: z.literal('image'), image: z.string(), digest: z.string(), bytes: z.number() }),
]);

const done = z.object({ type: z.literal('done'), images: z.number(), bytes: z.number() });

export interface ArchiveApiOptions {
  readonly importArchive: (options: {
    readonly body: AsyncIterable<Uint8Array>;
    /** Of the body, where its sender says so. */
    readonly sizeBytes?: number | undefined;
    readonly name?: string | undefined;
    readonly signal: AbortSignal;
    /** Hears of each image once it can be pulled. */
    readonly onEvent: (said: z.input<typeof event>) => void;
  }) => Promise<readonly { readonly image: string; readonly bytes: number }[]>;
  /** Rejects before its first byte when something that is named is not here whole. No piece is written over later. */
  readonly exportImages: (options: {
    readonly images: readonly { readonly repository: Repository; readonly reference: Reference }[];
    readonly platforms: readonly Platform[] | 'all' | undefined;
    readonly signal: AbortSignal;
  }) => Promise<{ readonly body: AsyncIterable<Uint8Array>; readonly sizeBytes: number }>;
  readonly upstreams: () => Pick<Upstreams, 'route'>;
  readonly running: LongAnswers;
}

const mostImages = 100;
const imports = { name: 'import', most: 2, full: '2 imports are running already; wait for one of them to end' };
const exports = { name: 'export', most: 2, full: '2 exports are running already; wait for one of them to end' };
const tarType = 'application/x-tar';

const several = z.preprocess((given) => [given ?? []].flat(), z.array(z.string()));

const nameWanted = 'write one image, as REPO:TAG';

const importQuery = z.strictObject({
  name: z
    .string(nameWanted)
    .min(1, nameWanted)
    .max(512, nameWanted)
    .optional()
    .openapi({ description: 'For an archive whose image has no name, or to give a single one another.' }),
});

const exportQuery = z.strictObject({
  image: several
    .refine((names) => names.length >= 1 && names.length <= mostImages, `name from 1 to ${mostImages} images`)
    .openapi({
      type: 'array',
      items: { type: 'string' },
      description: 'REPO, REPO:TAG or REPO@DIGEST, as often as needed.',
    }),
  platform: several.optional().openapi({
    type: 'array',
    items: { type: 'string' },
    description: 'OS/ARCHITECTURE, as often as needed, or `all`.',
  }),
});

export function archiveApi({ importArchive, exportImages, upstreams, running }: ArchiveApiOptions): AdminApi {
  const api = newApi();

  addOperation(
    api,
    {
      method: 'post',
      path: '/import',
      summary: 'Bring the images of an archive into the cache: an OCI image layout or what docker save wrote, as a tar',
      query: importQuery,
      upload: tarType,
      answers: {
        200: {
          description: 'a line for each image, the last line "done" or "error"; all of it is imported, or nothing',
          schema: z.union([event, done, ...lineSchemas]).openapi('ImportLine'),
          mediaType: linesType,
        },
      },
      refusals: { 409: 'too many are running already' },
    },
    (exchange, { query }) => {
      if (query.name !== undefined) tellAbout(exchange, { name: query.name });
      return running.lines(exchange, imports, async ({ signal, send }) => {
        const onEvent = (said: z.input<typeof event>) => send(said, said.type === 'progress' ? said.type : undefined);
        const { incoming } = exchange.env;
        const { 'content-length': length } = incoming.headers;
        const sizeBytes = length === undefined ? undefined : Number(length);
        const images = await importArchive({ ...query, body: bodyOf(incoming), sizeBytes, signal, onEvent });
        const bytes = images.reduce((sum, image) => sum + image.bytes, 0);
        tellAbout(exchange, { ...namedImages(images.map(({ image }) => image)), bytes });
        send({ type: 'done', images: images.length, bytes });
      });
    },
  );

  addOperation(
    api,
    {
      method: 'get',
      path: '/export',
      summary: 'Images as one tar, which docker load and skopeo take',
      query: exportQuery,
      answers: {
        200: {
          description: 'the tar; one that ends with the connection, short of its end, is not whole',
          schema: z.string().openapi({ format: 'binary' }),
          mediaType: tarType,
        },
      },
      refusals: { 404: 'something that is named is not cached as a whole', 409: 'too many are running already' },
    },
    (exchange, { query }) => {
      const images = query.image.map((text) => {
        const { name, reference } = parseImageName(text);
        return { repository: cachedRepository(name, upstreams()), reference };
      });
      const platforms = query.platform && parsePlatforms(query.platform);
      return running.run(exchange, exports, async ({ signal, begin }) => {
        const { body, sizeBytes } = await exportImages({ images, platforms, signal });
        const name = 'attachment; filename="images.tar"';
        const answer = begin({
          type: tarType,
          headers: { 'content-disposition': name, 'content-length': String(sizeBytes) },
        });
        if (exchange.env.incoming.method !== 'HEAD') for await (const bytes of body) await answer.write(bytes);
        answer.end();
      });
    },
  );

  return api;
}
