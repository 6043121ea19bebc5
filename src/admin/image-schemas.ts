// What the API says of a cached image, and of a purge.
import { z } from '@hono/zod-openapi';

const platformSchema = z
  .object({
    platform: z.string().optional().openapi({ example: 'linux/arm64', description: 'Absent where nothing says it.' }),
    digest: z.string(),
    sizeBytes: z.number().openapi({ description: 'Of manifest, config and layers, as the manifest says.' }),
    storedBytes: z.number().openapi({ description: 'Of these, what rests in the cache.' }),
    isComplete: z.boolean(),
  })
  .openapi('ImagePlatform');

export const imageSchema = z
  .object({
    repository: z.string().openapi({ example: 'docker.io/library/redis' }),
    tag: z.string().optional().openapi({ description: 'Absent where it is known by its digest alone.' }),
    digest: z.string(),
    mediaType: z.string(),
    platforms: z.array(platformSchema).readonly().openapi({ description: 'Those whose manifest is in the cache.' }),
    storedBytes: z.number().openapi({ description: 'Everything of it that rests in the cache, each blob once.' }),
    isComplete: z
      .boolean()
      .openapi({ description: 'Whether a pull of at least one platform would be served with every upstream away.' }),
    isPinned: z.boolean(),
    isPrivate: z.boolean(),
    lastUsedAt: z.number().optional().openapi({ description: 'Milliseconds of the epoch.' }),
    checkedAt: z.number().optional().openapi({ description: 'When its registry was asked last what the tag means.' }),
  })
  .openapi('Image');

export const purgedSchema = z
  .object({
    images: z.array(z.string()).readonly().openapi({ description: 'What was forgotten; the first of them only.' }),
    imageCount: z.number().openapi({ description: 'All that was forgotten.' }),
    blobs: z.number().openapi({ description: 'Blobs that nothing else in the cache needed, and that are gone.' }),
    bytes: z.number(),
    pinned: z.array(z.string()).readonly().openapi({ description: 'Left alone: it is pinned.' }),
  })
  .openapi('Purged');

const most = 1000;
const globWanted = 'write one glob on REGISTRY/PATH, with :TAG behind it if you like';
const globText = z.string(globWanted).min(1, globWanted).max(1000, globWanted);

const cursorWanted = 'write the cursor that the page before gave';

export const listQuery = z.strictObject({
  match: globText.optional().openapi({
    example: 'docker.io/library/*:7*',
    description: 'A glob on registry/path, with an optional :tag glob; without one, all tags.',
  }),
  sort: z.enum(['name', 'size', 'used']).optional(),
  limit: z
    .string(limitRange())
    .regex(/^\d{1,4}$/, limitRange())
    .transform(Number)
    .refine((count) => count >= 1 && count <= most, limitRange())
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: most, default: 100 }),
  cursor: z
    .string(cursorWanted)
    .max(2000, cursorWanted)
    .optional()
    .openapi({ description: 'As the page before gave it.' }),
});

const repositoryWanted = 'write one REPO, without a tag or digest';
const eitherWanted = 'write match or repository, and one of them only';

export const purgeQuery = z
  .strictObject({
    match: globText.optional().openapi({ description: 'As in the list; `**` is everything.' }),
    repository: z
      .string(repositoryWanted)
      .min(1, repositoryWanted)
      .max(512, repositoryWanted)
      .optional()
      .openapi({ description: 'REPO: all of it. One of both is needed.' }),
  })
  .refine(({ match, repository }) => (match === undefined) !== (repository === undefined), eitherWanted);

export const imagesSchema = z.object({ images: z.array(imageSchema).readonly() }).openapi('Images');

export const imagePageSchema = imagesSchema
  .extend({ cursor: z.string().optional().openapi({ description: 'For the next page; absent on the last.' }) })
  .openapi('ImagePage');

function limitRange(): string {
  return `write a whole number from 1 to ${most}`;
}
