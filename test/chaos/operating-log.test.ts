// Where the log goes fills up, or nobody reads it any more: the mirror serves on, and still ends when told to.
import { execFileSync } from 'node:child_process';
import { constants, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { freePort } from '../support/free-port.ts';
import { StartedProcess } from '../support/started-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { pullWhole } from '../support/whole-pull.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

test.each([
  ['on a disk that is full', '> /dev/full'],
  ['in a pipe that is full, and nobody reads', '> "$FULL_PIPE"'],
  ['in a pipe that nobody reads any more', '> >(head -n 1 > /dev/null)'],
])(
  'a log %s stops nobody',
  async (_, redirection) => {
    await using upstream = await startFakeUpstream();
    await using dir = await tempDir('log');
    const fullPipe = join(dir.path, 'pipe');
    execFileSync('mkfifo', [fullPipe]);
    await using pipe = await open(fullPipe, constants.O_RDWR | constants.O_NONBLOCK);
    const piece = Buffer.alloc(4096);
    while (await pipe.write(piece).catch(() => undefined));
    upstream.addImage('library/app');
    const [port, adminPort] = [await freePort(), await freePort()];
    const file = join(dir.path, 'config.json');
    const config = {
      listen: { host: '127.0.0.1', port },
      admin: { host: '127.0.0.1', port: adminPort },
      upstreams: { 'docker.io': { endpoints: [upstream.url] } },
      cache: { dir: join(dir.path, 'cache'), minFree: '100MB' },
    };
    await writeFile(file, JSON.stringify(config));
    const line = `exec "${process.execPath}" "${main}" serve --config "${file}" ${redirection}`;
    const started = new StartedProcess('stillwater', 'bash', ['-c', line], { env: { FULL_PIPE: fullPipe } });
    try {
      const isUp = () => fetch(`http://127.0.0.1:${adminPort}/livez`, { signal: AbortSignal.timeout(1_000) });
      await until('it is up', async () => (await isUp()).ok, { timeoutMs: 10_000 });
      for (let round = 0; round < 3; round++) {
        const pulled = pullWhole(`http://127.0.0.1:${port}`, 'library/app:latest');
        const late = new Promise((_resolve, reject) => setTimeout(reject, 5_000, new Error('the pull hangs')).unref());
        await Promise.race([pulled, late]);
      }
      expect(await started.stop('SIGTERM', 10_000)).toMatchObject({ code: 0 });
    } finally {
      await started.stop('SIGKILL');
    }
  },
  60_000,
);
