// A process that serves an app without substance: `hold` keeps it from stopping, `late` from starting before SIGTERM.
import { createServer } from 'node:net';
import { fail } from '../../src/cli/cli.ts';
import { serve } from '../../src/cli/serve.ts';
import { defaultConfig } from '../../src/config/load.ts';

const [kind] = process.argv.slice(2);
const never = new Promise<void>(() => {});

const loaded = { config: defaultConfig(), file: undefined };
await serve(
  () => loaded,
  async () => {
    if (kind === 'broken') throw new Error('cannot listen: 0.0.0.0:5000: it is in use');
    const server = createServer().listen(0, '127.0.0.1');
    process.stdout.write('starting\n');
    if (kind === 'late') await new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
    return {
      registryUrl: 'http://0.0.0.0:5000',
      adminUrl: kind === 'plain' ? 'http://127.0.0.1:5001' : undefined,
      reload: async () => void process.stdout.write('reloading\n'),
      stop: async () => {
        process.stdout.write('stopping\n');
        if (kind === 'hold') await never;
        server.close();
      },
    };
  },
).catch((error: unknown) => process.exit(fail(error, 1)));
