// A directory that no mirror holds, hashed again.
import pino from 'pino';
import { type VerifyOptions, verify } from '../jobs/verify.ts';
import type { DirectoryFlags } from './cached-images.ts';
import { openLocalCache } from './local-cache.ts';

export async function verifyDirectory(flags: DirectoryFlags, options: VerifyOptions): Promise<void> {
  await using local = await openLocalCache(flags, { mayChange: options.repair });
  const { records, store, layout, spools } = local.cache;
  // Its events say all that a log would.
  const log = pino({ level: 'silent' });
  await verify({ records, store, layout, verifier: spools.verifier, log }, options);
}
