// What a request gives, held against its schema; the first thing that is wrong is told in one line.
import { z } from '@hono/zod-openapi';
import { HTTPException } from 'hono/http-exception';

type Issue = z.core.$ZodIssue;

const longest = 500;

/** Throws what is answered with 400. */
export function checkGiven(schema: z.ZodType, given: unknown): unknown {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const why = issue ? explain(issue, schema) : 'it was not understood';
  throw new HTTPException(400, { message: why.length > longest ? `${why.slice(0, longest)}…` : why });
}

function explain(issue: Issue, schema: z.ZodType): string {
  const where = issue.path.join('.');
  const what = `${where === '' ? 'what was given' : where}: `;
  if (issue.code === 'unrecognized_keys') return `not known here: ${issue.keys.map(quoted).join(', ')}${known(schema)}`;
  if (issue.code === 'invalid_value') return `${what}write ${issue.values.map(String).join(', ')}`;
  // Ours begin in lower case, the library's own do not.
  return `${what}${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`;
}

function known(schema: z.ZodType): string {
  return schema instanceof z.ZodObject ? `; known are ${Object.keys(schema.shape).join(', ')}` : '';
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
