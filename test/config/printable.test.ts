// The configuration as it is shown.
import { expect, test } from 'vitest';
import { defaultConfig } from '../../src/config/load.ts';
import { printableConfig } from '../../src/config/printable.ts';
import { configSchema } from '../../src/config/schema.ts';
import { load } from './config-files.ts';

test('is in the form of the file, so that it loads as the same configuration', () => {
  const { config } = load({
    tags: { ttl: '90s' },
    cache: { maxSize: 1234, maxAge: '7d' },
    upstreams: { 'quay.io': null },
  });
  const printed = printableConfig(config);
  expect(printed).toMatchObject({
    tags: { ttl: '90s' },
    cache: { maxSize: '1234B', maxAge: '7d' },
    upstreams: { 'quay.io': null },
  });
  expect(load(JSON.parse(JSON.stringify(printed))).config).toEqual(config);
});

test('hides every secret and nothing else', () => {
  const credentials = (value: unknown) => ({ credentials: value });
  const config = configSchema.parse({
    admin: { token: 'hunter2' },
    tier: { bucket: 'b', accessKeyId: 'AKIA', secretAccessKey: 'hunter2' },
    redis: { url: 'rediss://me:hunter2@redis.example:6379/1?password=hunter2' },
    upstreams: {
      'a.example': credentials({ username: 'me', password: 'hunter2' }),
      'b.example': credentials([{ username: 'me', password: 'hunter2' }]),
      'c.example': credentials({ dockerConfig: '/root/.docker/config.json' }),
    },
    tags: { rules: [{ match: '**', ttl: 'forever' }] },
  });
  const printed = printableConfig(config);
  expect(JSON.stringify(printed)).not.toContain('hunter2');
  expect(printed).toMatchObject({
    admin: { token: '(hidden)' },
    tier: { accessKeyId: 'AKIA', secretAccessKey: '(hidden)' },
    redis: { url: 'rediss://(hidden)@redis.example:6379/1' },
    upstreams: {
      'a.example': credentials({ username: 'me', password: '(hidden)' }),
      'b.example': credentials([{ username: 'me', password: '(hidden)' }]),
      'c.example': credentials({ dockerConfig: '/root/.docker/config.json' }),
    },
    tags: { rules: [{ ttl: 'forever' }] },
  });
});

test('leaves the configuration as it was', () => {
  const config = defaultConfig();
  printableConfig(config);
  expect(config).toEqual(defaultConfig());
});
