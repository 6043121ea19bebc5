// The unit: systemd takes it, and what it sets is what the program reads.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { directoryWith } from '../config/config-files.ts';
import { run } from '../support/command.ts';
import { tempDir } from '../support/temp-dir.ts';
import { findTool } from '../support/tool.ts';

const unit = readFileSync(new URL('../../examples/systemd/stillwater.service', import.meta.url), 'utf8');

function valuesOf(key: string): string[] {
  return unit.split('\n').flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
}

test('what it sets loads, and the cache is in the folder that systemd makes', () => {
  const env = Object.fromEntries(valuesOf('Environment').map((each) => each.split(/=(.*)/s).slice(0, 2)));
  const { config, file } = loadConfig({ cwd: directoryWith({}), env });
  expect(file).toBeUndefined();
  expect(config.cache.dir).toBe(`/var/lib/${valuesOf('StateDirectory')[0]}`);
  expect(valuesOf('WorkingDirectory')).toEqual([`/etc/${valuesOf('ConfigurationDirectory')[0]}`]);
});

test('it reloads by SIGHUP, does not restart what is wrongly configured, and lets pulls finish', () => {
  expect(valuesOf('ExecStart')).toEqual(['/usr/local/bin/stillwater serve']);
  expect(valuesOf('ExecReload')).toEqual(['/bin/kill -HUP $MAINPID']);
  expect(valuesOf('RestartPreventExitStatus')).toEqual(['2']);
  expect(Number(valuesOf('TimeoutStopSec')[0])).toBeGreaterThan(30);
  // V8 writes the code that it runs.
  expect(valuesOf('MemoryDenyWriteExecute')).toEqual([]);
});

test.skipIf(findTool('systemd-analyze') === undefined)('systemd has nothing to say against it', async () => {
  await using dir = await tempDir('systemd');
  const file = join(dir.path, 'stillwater.service');
  await writeFile(file, unit.replace('/usr/local/bin/stillwater', process.execPath));
  // Of a line that it does not know it only complains.
  expect(await run('sh', ['-c', 'systemd-analyze verify "$0" 2>&1', file])).toBe('');
  const report = await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', file]);
  expect(report).toContain('OK');
});
