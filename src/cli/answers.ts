// What the admin API answers, as its own schemas have it.
import type { z } from 'zod';
import type { fillSchema } from '../admin/fills-api.ts';
import type { imageSchema, purgedSchema } from '../admin/image-schemas.ts';
import type { upstreamSchema } from '../admin/upstreams-api.ts';

export type { PrefetchLine } from '../admin/prefetch-api.ts';
export type { Status as ShownStatus } from '../admin/status-schema.ts';
export type { VerifyLine } from '../admin/verify-api.ts';
export type ShownImage = z.output<typeof imageSchema>;
export type ShownPurge = z.output<typeof purgedSchema>;
export type ShownFill = z.output<typeof fillSchema>;
export type ShownUpstream = z.output<typeof upstreamSchema>;
