// Every key of the configuration, with its default and one sentence on what it does.
import { z } from 'zod';
import { accessProblems } from './access-problems.ts';
import { access } from './access-schema.ts';
import {
  duration,
  durationOrForever,
  flag,
  list,
  location,
  network,
  oneOf,
  section,
  size,
  text,
  timeout,
  url,
  whole,
} from './fields.ts';
import { scheduleProblems } from './schedule-problems.ts';
import { tagProblems } from './tag-problems.ts';
import { misnamed, unlistedProblems, upstreams } from './upstream-schema.ts';

const listen = section({
  host: text().prefault('0.0.0.0').describe('The address that clients reach the mirror on.'),
  port: whole(0, 65_535).prefault(5000).describe('The port that clients reach the mirror on; 0 takes a free one.'),
  tls: section({
    certFile: text('the path of a PEM file').describe('The certificate chain; re-read when the file changes.'),
    keyFile: text('the path of a PEM file').describe('The private key; re-read when the file changes.'),
    clientCaFile: text('the path of a PEM file')
      .optional()
      .describe('Authorities of client certificates, whose common name is the principal.'),
  })
    .optional()
    .describe('Serve HTTPS instead of HTTP.'),
  maxConnections: whole(1, 1_000_000).prefault(10_000).describe('Client connections at the same time at most.'),
  trustedProxies: list(network(), 'a list of addresses and networks')
    .prefault([])
    .describe('Proxies whose X-Forwarded-* headers are believed.'),
  accel: location()
    .optional()
    .describe(
      'The internal location of nginx, one of trustedProxies, that has cache/v1/blobs: it sends what is stored.',
    ),
});

const admin = section({
  host: text().prefault('127.0.0.1').describe('The address of the dashboard, API, metrics and probes.'),
  port: whole(0, 65_535).prefault(5001).describe('The port of the dashboard, API, metrics and probes.'),
  token: text().optional().describe('A bearer token that opens the admin listener.').meta({ writeOnly: true }),
  protectMetrics: flag().prefault(false).describe('Whether /metrics needs the token too.'),
});

const cache = section({
  dir: text().prefault('./cache').describe('The directory of the cache.'),
  maxSize: size().prefault('80%').describe('What the cache may take of the disk.'),
  minFree: size().prefault('2GiB').describe('What the cache leaves free on the disk, whatever maxSize says.'),
  maxAge: duration().optional().describe('How long content that nobody pulls is kept.'),
  maxFills: whole(1, 10_000).prefault(64).describe('Transfers from upstreams at the same time at most.'),
  siblings: flag().prefault(true).describe('Whether the first layer asked for starts the others of its image.'),
});

const tagRule = section({
  match: text('a glob over registry/path, with or without :tag').describe(
    'A glob such as "docker.io/library/*:latest".',
  ),
  ttl: durationOrForever().optional().describe('As tags.ttl, or "forever" for tags that never move.'),
  staleIfError: duration().optional().describe('As tags.staleIfError.'),
  staleWhileRevalidate: duration().optional().describe('As tags.staleWhileRevalidate.'),
  negativeTtl: duration().optional().describe('As tags.negativeTtl.'),
  revalidateTimeout: timeout().optional().describe('As tags.revalidateTimeout.'),
});

const tags = section({
  ttl: duration().prefault('5m').describe('How long a tag is believed without asking its upstream.'),
  staleIfError: duration().prefault('30d').describe('How long an old answer may stand in for a failing upstream.'),
  staleWhileRevalidate: duration()
    .prefault('0s')
    .describe('How long past its ttl a tag is served while it is checked.'),
  negativeTtl: duration().prefault('30s').describe('How long "not found" is remembered.'),
  revalidateTimeout: timeout().prefault('2s').describe('How long a cached tag waits for its check before it goes out.'),
  rules: list(tagRule, 'a list of {match, ttl}').prefault([]).describe('Other times for some tags; first match wins.'),
});

const prefetch = section({
  schedule: list(
    section({
      cron: text().describe('When, as a cron expression.'),
      images: list(text(), 'a list of images')
        .min(1, { error: 'a list of at least one image' })
        .describe('Images to pull into the cache.'),
      platforms: list(text(), 'a list of platforms').optional().describe('Platforms such as "linux/amd64".'),
    }),
    'a list of {cron, images, platforms}',
  )
    .prefault([])
    .describe('Images to pull into the cache at set times.'),
});

const tier = section({
  bucket: text().describe('The bucket.'),
  endpoint: url(['https', 'http']).optional().describe('The S3 service, if it is not that of AWS.'),
  region: text().optional().describe('The region.'),
  prefix: text().optional().describe('What every object name begins with.'),
  accessKeyId: text().optional().describe('The access key.'),
  secretAccessKey: text().optional().describe('The secret of the access key.').meta({ writeOnly: true }),
  redirect: flag().prefault(false).describe('Whether clients are sent to the bucket for blobs.'),
});

const REDIS_URL = 'a URL that begins with redis:// or rediss://';
const redis = section({
  url: z
    .string({ error: REDIS_URL })
    .refine((value) => /^rediss?:\/\/./.test(value) && URL.canParse(value), { error: REDIS_URL })
    .describe('Where the Redis is.')
    .meta({ writeOnly: true }),
  prefix: text().prefault('stillwater:').describe('What every key begins with.'),
});

const accelFor = 'a location only where listen.trustedProxies names the nginx that has it';

export const configSchema = section({
  $schema: z.string().optional().describe('For editors: where config.schema.json is.'),
  listen: listen.prefault({}).describe('The registry listener.'),
  admin: admin.nullable().prefault({}).describe('The admin listener; null turns it off.'),
  cache: cache.prefault({}).describe('Where content rests, and how much of it.'),
  upstreams,
  defaultUpstream: text().prefault('docker.io').describe('The upstream of names that begin with no registry.'),
  tags: tags.prefault({}).describe('How long tags are believed.'),
  access: access.prefault({}).describe('Who may pull what.'),
  prefetch: prefetch.prefault({}).describe('What is pulled before anyone asks.'),
  offline: flag().prefault(false).describe('Whether the mirror never speaks to an upstream.'),
  tier: tier.optional().describe('An S3 bucket behind the local disk.'),
  redis: redis.optional().describe('A Redis for leases, tags and purges shared between replicas.'),
  log: section({
    level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .prefault('info')
      .describe('The least grave line that is logged.'),
    format: oneOf(['json', 'pretty'])
      .prefault('json')
      .describe('How a line looks; "pretty" on a terminal if not given.'),
  })
    .prefault({})
    .describe('What the mirror tells about its work.'),
  tracing: section({ endpoint: url(['https', 'http']).optional().describe('An OTLP/HTTP endpoint for traces.') })
    .prefault({})
    .describe('Where traces go.'),
}).superRefine((config, context) => {
  // With a problem elsewhere the upstreams may not have been put together.
  if (context.issues.length > 0) return;
  for (const { path, allowed } of [...accessProblems(config), ...scheduleProblems(config), ...tagProblems(config)])
    context.addIssue({ code: 'custom', path, message: allowed });
  if (config.listen.accel !== undefined && config.listen.trustedProxies.length === 0)
    context.addIssue({ code: 'custom', path: ['listen', 'accel'], message: accelFor });
  for (const name of misnamed(config.upstreams))
    context.addIssue({ code: 'custom', path: ['upstreams', name], message: 'the name that images have: docker.io' });
  for (const { key, allowed } of unlistedProblems(config.upstreams))
    context.addIssue({ code: 'custom', path: ['upstreams', '*', key], message: allowed });
  const names = Object.keys(config.upstreams).filter((name) => name !== '*');
  if (names.includes(config.defaultUpstream)) return;
  context.addIssue({ code: 'custom', path: ['defaultUpstream'], message: `one of the upstreams: ${names.join(', ')}` });
});

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/** Checked and complete: durations in ms, sizes as `Size`, every upstream resolved. */
export type Config = DeepReadonly<Omit<z.output<typeof configSchema>, '$schema'>>;
export type UpstreamConfig = Config['upstreams'][string];

/** JSON Schema of the file, as people write it. */
export function configJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
