// What a path of the API takes, for whoever asks by another method.
import type { MiddlewareHandler } from 'hono';
import { type AdminEnv, refuse } from './admin-exchange.ts';
import { type AdminApi, formOf } from './api-operation.ts';

/** Behind every route of the API: 405 where the document knows the path, else on to what says that there is nothing. */
export function allowedMethods({ openAPIRegistry }: AdminApi): MiddlewareHandler<AdminEnv> {
  const routes = openAPIRegistry.definitions.flatMap((definition) =>
    definition.type === 'route' ? [{ method: definition.route.method, form: formOf(definition.route.path) }] : [],
  );
  return async function refuseMethod(exchange, next) {
    const known = routes.filter(({ form }) => form.test(exchange.req.path));
    if (known.length === 0) return next();
    const methods = known.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
    const allowed = [...new Set(methods)].sort().join(', ');
    exchange.header('allow', allowed);
    return refuse(exchange, 405, `this takes ${allowed} only; see /api/v1/openapi.json`);
  };
}
