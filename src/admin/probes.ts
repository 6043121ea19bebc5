// What orchestrators and Prometheus ask: alive, ready (and if not, why not), and the figures.
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import type { Metrics } from '../observe/metrics.ts';
import { abandonable } from '../upstream/abandonable.ts';

/** Resolves to what is wrong, in words; to `undefined` when all is well. */
export interface ReadinessCheck {
  readonly name: string;
  readonly check: () => Promise<string | undefined>;
}

export interface Readiness {
  readonly name: string;
  readonly problem: string | undefined;
}

export function probes(metrics: Metrics, checks: readonly ReadinessCheck[]): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/livez', (context) => context.text('ok\n'));
  app.get('/readyz', async (context) => {
    const problems = (await findProblems(checks)).filter(({ problem }) => problem !== undefined);
    if (problems.length === 0) return context.text('ready\n');
    return context.text(problems.map(({ name, problem }) => `${name}: ${problem}\n`).join(''), 503);
  });
  app.get('/metrics', async (context) =>
    context.body(await metrics.registry.metrics(), 200, { 'content-type': metrics.registry.contentType }),
  );
  app.notFound((context) => context.text('/livez, /readyz and /metrics are here.\n', 404));
  return app;
}

/** All of them; what has no answer in time is a problem. */
export function findProblems(checks: readonly ReadinessCheck[], signal?: AbortSignal): Promise<Readiness[]> {
  const find = async ({ name, check }: ReadinessCheck) => {
    const problem = problemOf(check);
    const late = () => 'it does not answer';
    return { name, problem: await (signal ? abandonable(problem, signal).catch(late) : problem) };
  };
  return Promise.all(checks.map(find));
}

async function problemOf(check: ReadinessCheck['check']): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    return (error as Error).message;
  }
}
