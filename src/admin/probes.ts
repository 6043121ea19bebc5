// What orchestrators and Prometheus ask: alive, ready (and if not, why not), and the figures.
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import type { Metrics } from '../observe/metrics.ts';

/** Resolves to what is wrong, in words; to `undefined` when all is well. */
export interface ReadinessCheck {
  readonly name: string;
  readonly check: () => Promise<string | undefined>;
}

export function probes(metrics: Metrics, checks: readonly ReadinessCheck[]): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/livez', (context) => context.text('ok\n'));
  app.get('/readyz', async (context) => {
    const found = await Promise.all(checks.map(async ({ name, check }) => ({ name, problem: await problemOf(check) })));
    const problems = found.filter(({ problem }) => problem !== undefined);
    if (problems.length === 0) return context.text('ready\n');
    return context.text(problems.map(({ name, problem }) => `${name}: ${problem}\n`).join(''), 503);
  });
  app.get('/metrics', async (context) =>
    context.body(await metrics.registry.metrics(), 200, { 'content-type': metrics.registry.contentType }),
  );
  app.notFound((context) => context.text('/livez, /readyz and /metrics are here.\n', 404));
  return app;
}

async function problemOf(check: ReadinessCheck['check']): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    return (error as Error).message;
  }
}
