// The whole program after a day of everything: hits, misses, refusals, limits, an upstream that is away.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ask } from '../http/start-registry.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { tempDir } from '../support/temp-dir.ts';

/** Of a registry that the configuration does not name. */
export const stranger = 'registry.example.com';

export interface BusyMirror extends AsyncDisposable {
  /** What a scrape of it gives now. */
  scrape(): Promise<string>;
  pull(path: string): Promise<number>;
}

export async function busyMirror(): Promise<BusyMirror> {
  await using opened = new AsyncDisposableStack();
  const dir = await tempDir('busy');
  opened.defer(() => dir.remove());
  const [hub, away] = [opened.use(await startFakeUpstream()), opened.use(await startFakeUpstream())];
  hub.faults.add(
    { kind: 'manifest' },
    { headers: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '40;w=21600' } },
  );
  const { digest, layers } = hub.addImage('library/app', { layers: ['one layer', 'and another'] });
  hub.addImage('library/moving');
  const lie = hub.addBlob('library/app', 'what it says it is');
  hub.faults.add({ path: lie.digest }, { flipByteAt: 0 });
  const content = {
    listen: { host: '127.0.0.1', port: 0 },
    admin: { port: 0 },
    cache: { dir: join(dir.path, 'cache') },
    upstreams: {
      'docker.io': { endpoints: [hub.url] },
      'quay.io': { endpoints: [away.url], connectTimeout: '1s' },
      '*': {},
    },
    tags: { rules: [{ match: 'docker.io/library/moving:*', ttl: '0s' }] },
    log: { level: 'silent' },
  };
  await writeFile(join(dir.path, 'config.json'), JSON.stringify(content));
  // Where the names of strangers would be looked up: nothing leaves this machine.
  const { HTTPS_PROXY } = process.env;
  process.env.HTTPS_PROXY = 'http://127.0.0.1:1';
  opened.defer(() => {
    if (HTTPS_PROXY === undefined) delete process.env.HTTPS_PROXY;
    else process.env.HTTPS_PROXY = HTTPS_PROXY;
  });
  const load = () => loadConfig({ cwd: dir.path, env: {} });
  const { config } = load();
  const app = await startApp(config, { load });
  opened.defer(() => app.stop());
  await away.close();
  const pull = async (path: string, options: Parameters<typeof ask>[2] = {}) =>
    (await ask(app.registryUrl, path, options)).status;
  const blobs = layers.map((layer) => `/v2/library/app/blobs/${layer.digest}`);
  const paths = ['/v2/library/app/manifests/latest', `/v2/library/app/manifests/${digest}`, ...blobs];
  for (let round = 0; round < 3; round++) await Promise.all(paths.map((path) => pull(path)));
  await Promise.all([
    ...paths.map((path) => pull(path, { method: 'HEAD' })),
    ...blobs.map((path) => pull(path, { headers: { range: 'bytes=1-2' } })),
    ...blobs.map((path) => pull(path, { headers: { range: 'bytes=99-' } })),
    pull(paths[0] ?? '', { headers: { 'if-none-match': `"${digest}"` } }),
    pull(`/v2/library/app/blobs/${lie.digest}`).catch(() => 0),
    pull('/v2/library/moving/manifests/latest'),
    pull('/v2/'),
    pull('/v2/_catalog'),
    pull('/v2/library/app/tags/list'),
    pull('/v2/library/app/manifests/nothing'),
    pull('/v2/library/app/blobs/uploads/', { method: 'POST' }),
    pull('/v2/unknown/app/manifests/latest?ns=registry.invalid'),
    pull(`/v2/app/manifests/latest?ns=${stranger}`),
    pull('/nothing'),
  ]);
  await pull('/v2/library/moving/manifests/latest');
  hub.faults.add({ path: 'library/moving' }, { status: 503 });
  await pull('/v2/library/moving/manifests/latest');
  for (let n = 0; n < 6; n++) await pull(`/v2/away/app-${n}/manifests/latest?ns=quay.io`);
  const all = opened.move();
  return {
    scrape: async () => (await ask(app.adminUrl ?? '', '/metrics')).body.toString(),
    pull,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
