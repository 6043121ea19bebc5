// What programs and the dashboard are told, as JSON under /api/v1.
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import type { UpstreamStatus } from '../upstream/upstream.ts';

export interface AdminApiOptions {
  readonly upstreams: { status(): readonly UpstreamStatus[] };
}

export function adminApi({ upstreams }: AdminApiOptions): Hono<{ Bindings: HttpBindings }> {
  const api = new Hono<{ Bindings: HttpBindings }>();
  api.get('/upstreams', (context) => context.json({ upstreams: upstreams.status() }));
  return api;
}
