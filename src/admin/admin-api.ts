// /api/v1: every resource, the document that describes them all, and what is said to whoever asks by another method.
import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { AdminEnv } from './admin-exchange.ts';
import { allowedMethods } from './allowed-methods.ts';
import { type AdminApi, addOperation, apiRoot, newApi } from './api-operation.ts';
import { type ArchiveApiOptions, archiveApi } from './archive-api.ts';
import { eventsApi } from './events-api.ts';
import { type FillsApiOptions, fillsApi } from './fills-api.ts';
import { type ImagesApiOptions, imagesApi } from './images-api.ts';
import { type PinsApiOptions, pinsApi } from './pins-api.ts';
import { type PrefetchApiOptions, prefetchApi } from './prefetch-api.ts';
import { type ReloadApiOptions, reloadApi } from './reload-api.ts';
import { statusApi } from './status-api.ts';
import { type StatusOptions, StatusReport } from './status-report.ts';
import { type UpstreamsApiOptions, upstreamsApi } from './upstreams-api.ts';
import { type VerifyApiOptions, verifyApi } from './verify-api.ts';

export type AdminApiOptions = ArchiveApiOptions &
  FillsApiOptions &
  ImagesApiOptions &
  PinsApiOptions &
  PrefetchApiOptions &
  ReloadApiOptions &
  StatusOptions &
  UpstreamsApiOptions &
  VerifyApiOptions;

/** With its whole paths, to be mounted at the root. */
export function adminApi(options: AdminApiOptions): AdminApi {
  const { fills, running, version } = options;
  const report = new StatusReport(options);
  const resources = [
    statusApi(report),
    // Before the images: an image may be called anything.
    pinsApi(options),
    imagesApi(options),
    prefetchApi(options),
    fillsApi(options),
    upstreamsApi(options),
    verifyApi(options),
    reloadApi(options),
    archiveApi(options),
    eventsApi({ running, status: () => report.get(), fills: () => fills.status() }),
  ];
  const api = new OpenAPIHono<AdminEnv>();
  for (const resource of resources) api.route(apiRoot, resource);
  api.route(apiRoot, documentApi(api, version));
  api.all(`${apiRoot}/*`, allowedMethods(api));
  return api;
}

function documentApi(described: AdminApi, version: string): AdminApi {
  const api = newApi();
  addOperation(
    api,
    {
      method: 'get',
      path: '/openapi.json',
      summary: 'This document',
      answers: { 200: { description: 'OpenAPI 3.1', schema: z.record(z.string(), z.unknown()) } },
    },
    (exchange) => exchange.json(described.getOpenAPI31Document({ openapi: '3.1.0', info: { title, version } })),
  );
  return api;
}

const title = 'stillwater: the admin API of a pull-through registry mirror';
