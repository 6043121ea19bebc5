// The package as it would be published: packed, installed elsewhere, run there.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { InstalledPackage, installNode, pathWith } from '../support/installed-package.ts';
import { startMirror } from '../support/mirror-process.ts';
import { committed } from '../support/pulled-image.ts';
import { generateContent } from '../support/served-content.ts';

const { version, engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
/** The oldest that runs it, and one that is too old to know half of what it imports. */
const [oldest, tooOld] = ['24.21.0', '18.20.8'];

describe('the package', { timeout: 120_000 }, () => {
  let installed: InstalledPackage;

  beforeAll(async () => {
    installed = await InstalledPackage.create();
  });

  afterAll(async () => {
    await installed?.[Symbol.asyncDispose]();
  });

  test('holds the program and the configuration, and nothing of the tests', () => {
    const outside = installed.files.filter((file) => !file.startsWith('dist/'));
    expect(outside.sort()).toEqual([
      'LICENSE',
      'README.md',
      'config.example.json',
      'config.schema.json',
      'package.json',
    ]);
    expect(installed.files).toContain('dist/store/verifier-worker.js');
    expect(installed.files).toContain('dist/store/checkpoint-worker.js');
    expect(installed.files.filter((file) => !/\.(js|json|md)$|^LICENSE$/.test(file))).toEqual([]);
  });

  test('runs by npx', async () => {
    expect(await installed.npx(['--version'])).toBe(`${version}\n`);
    expect(await installed.npx(['config', 'check'])).toContain('the defaults: fine');
    expect(JSON.parse(await installed.npx(['config', 'schema']))).toHaveProperty('properties.listen');
  });

  test('serves, and keeps what its workers have hashed', async () => {
    await pullsAndStops([installed.program]);
  });

  test('runs on the oldest Node that package.json allows', async (context) => {
    expect(engines.node).toBe(`>=${Number.parseInt(oldest, 10)}`);
    const node = await obtained(oldest, context);
    expect(await installed.npx(['--version'], node)).toBe(`${version}\n`);
    await pullsAndStops([installed.program], pathWith(node));
  });

  test('says in one line which Node it needs on one that is too old', async (context) => {
    const node = await obtained(tooOld, context);
    const failed = await installed.npx(['serve'], node).catch((error) => error as { stderr: string });
    const lines = typeof failed === 'string' ? [failed] : failed.stderr.split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('npm '))).toEqual([
      `stillwater: this is Node ${tooOld}, and Node 24 or newer is needed: install one (nodejs.org), or run the container image`,
    ]);
  });

  async function obtained(node: string, context: { skip: (note: string) => void }): Promise<string> {
    try {
      return await installNode(installed.path, node);
    } catch (error) {
      if (process.env.CI === 'true') throw error;
      process.stderr.write(`\n!!! SKIPPED: Node ${node} cannot be had: ${(error as Error).message} !!!\n\n`);
      context.skip(`Node ${node} cannot be had`);
      throw error;
    }
  }
});

async function pullsAndStops(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  await using upstream = await startFakeUpstream();
  const layer = await generateContent({ size: 24 * 1024 * 1024, seed: 7 });
  const { digest } = upstream.addImage('acme/app', { layers: [layer] });
  await using mirror = await startMirror({ upstreams: { 'registry.test': upstream.url }, command, env });
  const manifest = await fetch(`${mirror.url}/v2/registry.test/acme/app/manifests/latest`);
  expect(manifest.headers.get('docker-content-digest')).toBe(digest);
  const url = `${mirror.url}/v2/registry.test/acme/app/blobs/${layer.digest}`;
  const pulled = await new BlobClient(url, { content: layer }).done;
  expect(pulled).toMatchObject({ status: 200, received: layer.size, isTrue: true, isComplete: true });
  await committed(mirror, layer.digest);
  expect((await mirror.readiness()).isReady).toBe(true);
  await mirror.stop();
}
