// The compose file: what it configures loads, and its ports and its health check are real.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { probes } from '../../src/admin/probes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { directoryWith } from '../config/config-files.ts';

interface Service {
  readonly ports: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly stop_grace_period: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly mem_limit: string;
  readonly healthcheck: { readonly test: readonly string[] };
}

const read = (name: string) => readFileSync(new URL(`../../examples/compose/${name}`, import.meta.url), 'utf8');
const document = parseDocument(read('compose.yaml'));
const compose = document.toJSON() as {
  readonly services: { readonly stillwater: Service };
  readonly volumes: Readonly<Record<string, unknown>>;
};
const { stillwater } = compose.services;

function loaded() {
  const { STILLWATER_CONFIG: _, ...env } = stillwater.environment;
  const token = /^\$\{STILLWATER_ADMIN__TOKEN:\?.+\}$/;
  expect(env.STILLWATER_ADMIN__TOKEN).toMatch(token);
  const cwd = directoryWith({ 'config.json': read('config.json') });
  return loadConfig({ cwd, env: { ...env, STILLWATER_ADMIN__TOKEN: 'of-the-operator' } });
}

test('it is YAML, and configures what there is to configure', () => {
  expect(document.errors).toEqual([]);
  const { config } = loaded();
  expect(config.admin).toMatchObject({ host: '0.0.0.0', token: 'of-the-operator' });
});

test('it publishes the registry to everybody and the admin listener to this machine', () => {
  const { listen, admin } = loaded().config;
  expect(stillwater.ports).toEqual([`5000:${listen.port}`, `127.0.0.1:5001:${admin?.port}`]);
});

test('its health check asks what answers', async () => {
  const [kind, program, , script = ''] = stillwater.healthcheck.test;
  expect([kind, program]).toEqual(['CMD', 'node']);
  const [, port, path = ''] = /http:\/\/127\.0\.0\.1:(\d+)(\/\w+)/.exec(script) ?? [];
  expect(Number(port)).toBe(loaded().config.admin?.port);
  expect((await probes(createMetrics(), []).request(path)).status).toBe(200);
});

test('the cache is on a volume, and all else cannot be written', () => {
  expect(stillwater.volumes).toEqual(['cache:/cache', './config.json:/etc/stillwater/config.json:ro']);
  expect(stillwater.environment.STILLWATER_CONFIG).toBe('/etc/stillwater/config.json');
  expect(Object.keys(compose.volumes)).toEqual(['cache']);
  expect([stillwater.read_only, stillwater.cap_drop]).toEqual([true, ['ALL']]);
  expect(read('../../Dockerfile')).toContain('STILLWATER_CACHE__DIR=/cache');
});

test('a stop lets pulls finish', () => {
  expect(Number.parseInt(stillwater.stop_grace_period, 10)).toBeGreaterThan(30);
});
