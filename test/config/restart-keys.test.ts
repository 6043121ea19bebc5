// How two configurations differ, and what of that waits for a restart.
import { describe, expect, test } from 'vitest';
import { typesAt } from '../../src/config/keys.ts';
import { defaultConfig } from '../../src/config/load.ts';
import { compareConfigs, restartKeys } from '../../src/config/restart-keys.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';

function given(values: object): Config {
  return configSchema.parse(values);
}

test('names keys that exist', () => {
  for (const key of restartKeys) expect([key, typesAt(key.split('.')).length]).toEqual([key, expect.any(Number)]);
  expect(restartKeys.filter((key) => typesAt(key.split('.')).length === 0)).toEqual([]);
});

test('finds nothing between equals', () => {
  expect(compareConfigs(defaultConfig(), defaultConfig())).toEqual({
    effective: defaultConfig(),
    changed: [],
    needsRestart: [],
  });
});

test('names what is in effect at once by its key, and upstreams by their name', () => {
  const after = given({
    tags: { ttl: '1m' },
    upstreams: { 'docker.io': { rate: '1MB' }, 'lscr.io': null, 'registry.test': {} },
    access: { rules: [{ effect: 'deny', principals: ['*'], repositories: ['**'] }] },
  });
  const { changed, needsRestart, effective } = compareConfigs(given({}), after);
  expect([...changed].sort()).toEqual([
    'access.rules',
    'tags.ttl',
    'upstreams.docker.io',
    'upstreams.lscr.io',
    'upstreams.registry.test',
  ]);
  expect(needsRestart).toEqual([]);
  expect(effective).toEqual(after);
});

describe('what needs a restart', () => {
  test('stays as it was, beside what does not', () => {
    const before = given({});
    const after = given({
      listen: { port: 6000 },
      cache: { dir: '/elsewhere', maxSize: '1GiB' },
      log: { format: 'pretty' },
    });
    const { effective, changed, needsRestart } = compareConfigs(before, after);
    expect(changed).toEqual(['cache.maxSize']);
    expect(needsRestart).toEqual(['listen.port', 'cache.dir', 'log.format']);
    expect(effective).toEqual({ ...before, cache: { ...before.cache, maxSize: { bytes: 2 ** 30 } } });
  });

  test('counts for what is inside a section, and for a section that comes', () => {
    const tls = { certFile: 'a.pem', keyFile: 'b.pem' };
    expect(compareConfigs(given({}), given({ listen: { tls } }))).toMatchObject({ needsRestart: ['listen.tls'] });
    const other = { listen: { tls: { ...tls, keyFile: 'c.pem' } } };
    expect(compareConfigs(given({ listen: { tls } }), given(other)).needsRestart).toEqual(['listen.tls.keyFile']);
    expect(compareConfigs(given({ listen: { tls } }), given({})).effective.listen.tls).toEqual(tls);
  });

  test('is an admin listener that comes or goes, but not its token', () => {
    const gone = compareConfigs(given({}), given({ admin: null }));
    expect(gone).toMatchObject({ changed: [], needsRestart: ['admin'], effective: given({}) });
    const come = compareConfigs(given({ admin: null }), given({}));
    expect(come).toMatchObject({ changed: [], needsRestart: ['admin'], effective: given({ admin: null }) });
    expect(compareConfigs(given({}), given({ admin: { token: 'new' } }))).toMatchObject({
      changed: ['admin.token'],
      needsRestart: [],
    });
  });
});
