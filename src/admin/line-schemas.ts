// The lines that every answer of newline-delimited JSON may have between or behind its own.
import { z } from '@hono/zod-openapi';

export const lineSchemas = [
  z.object({ type: z.literal('heartbeat') }).openapi('Heartbeat', { description: 'The job goes on; nothing is new.' }),
  z
    .object({ type: z.literal('error'), error: z.string() })
    .openapi('BrokenOff', { description: 'Always the last line: the job did not come to its end.' }),
] as const;
