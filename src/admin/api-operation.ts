// One operation of the API: what the document says of it, and what is checked before its handler is asked.
import { OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { AdminEnv, AdminExchange } from './admin-exchange.ts';
import { checkGiven } from './check-given.ts';
import { readJson } from './request-body.ts';

export const apiRoot = '/api/v1';

export type AdminApi = OpenAPIHono<AdminEnv>;

export const refusalSchema = z
  .object({ error: z.string().openapi({ description: 'One line: what failed, why, and what to do.' }) })
  .openapi('Refusal');

interface AnswerDescription {
  readonly description: string;
  /** Of a JSON body, or of each line where `mediaType` says that there are lines. */
  readonly schema?: z.ZodType;
  readonly mediaType?: string;
}

export interface Operation<Q extends z.ZodType, B extends z.ZodType> {
  readonly method: 'delete' | 'get' | 'post' | 'put';
  /** Below /api/v1. `{image}` may have slashes in it. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Q;
  readonly body?: B;
  /** The type of a body that the handler reads for itself. */
  readonly upload?: string;
  readonly answers: Readonly<Record<number, AnswerDescription>>;
  /** By status: why it may be refused, beside what is wrong with the request itself. */
  readonly refusals?: Readonly<Record<number, string>>;
}

export interface Given<Q, B> {
  readonly query: Q;
  readonly body: B;
}

type Handler<Q, B> = (exchange: AdminExchange, given: Given<Q, B>) => Response | Promise<Response>;

export function newApi(): AdminApi {
  return new OpenAPIHono<AdminEnv>();
}

/** Puts it into the document and behind its path. What it is given has been checked against its schemas. */
export function addOperation<Q extends z.ZodType = z.ZodUndefined, B extends z.ZodType = z.ZodUndefined>(
  api: AdminApi,
  operation: Operation<Q, B>,
  handle: Handler<z.output<Q>, z.output<B>>,
): void {
  const { method, path, query, body } = operation;
  const form = formOf(`${apiRoot}${path}`);
  api.openAPIRegistry.registerPath(documented(operation));
  api.on(method.toUpperCase(), routed(path), async (exchange, next) => {
    if (!form.test(exchange.req.path)) return next();
    const given = {
      query: query && checkGiven(query, queryOf(exchange)),
      body: body && checkGiven(body, await readJson(exchange.env)),
    };
    return await handle(exchange, given as Given<z.output<Q>, z.output<B>>);
  });
}

/** Of whole paths. */
export function formOf(path: string): RegExp {
  const parts = path.split(/(\{\w+\})/).map((part) => {
    if (part === '{image}') return '.+';
    return part.startsWith('{') ? '[^/]+' : RegExp.escape(part);
  });
  return new RegExp(`^${parts.join('')}$`);
}

/** Images have slashes in them, and may end as other paths do: routers disagree on who comes first then, and we decide. */
function routed(path: string): string {
  return path.replace(/\{image\}.*$/, '*').replace(/\{(\w+)\}/g, ':$1');
}

/** With the body's type held against what the document says of it. */
export function answer<S extends z.ZodType>(exchange: AdminExchange, _schema: S, body: z.input<S>): Response {
  return exchange.json(body as object);
}

function documented(operation: Operation<z.ZodType, z.ZodType>): RouteConfig {
  const { method, path, summary, description: more, query, body, upload, answers, refusals } = operation;
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, z.string()] as const);
  const content = body ? { 'application/json': { schema: body } } : upload && { [upload]: { schema: binary } };
  const described = Object.entries(answers).map(([status, { description, schema, mediaType = 'application/json' }]) => [
    status,
    schema ? { description, content: { [mediaType]: { schema } } } : { description },
  ]);
  const mayBeWrong = parameters.length > 0 || query !== undefined || content !== undefined;
  const refused = Object.entries({ ...(mayBeWrong && { 400: 'what is wrong with the request' }), ...refusals });
  return {
    ...{ method, path, summary, ...(more !== undefined && { description: more }) },
    request: {
      ...(parameters.length > 0 && { params: z.object(Object.fromEntries(parameters)) }),
      ...(query && { query: query as z.ZodObject }),
      ...(content && { body: { content, required: !body?.safeParse({}).success } }),
    },
    responses: {
      ...Object.fromEntries(described),
      ...Object.fromEntries(refused.map(([status, why]) => [status, refusal(why)])),
      default: refusal('it was refused, or failed'),
    },
  };
}

const binary = z.string().openapi({ format: 'binary' });

function refusal(description: string) {
  return { description, content: { 'application/json': { schema: refusalSchema } } };
}

function queryOf({ req }: AdminExchange): Record<string, string | string[]> {
  const entries = Object.entries(req.queries());
  return Object.fromEntries(entries.map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]));
}
