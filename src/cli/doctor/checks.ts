// The checks of one run, and what several of them look at: the mirror's answer and those of the upstreams.
import type { Config } from '../../config/schema.ts';
import { createLog } from '../../observe/log.ts';
import { createMetrics } from '../../observe/metrics.ts';
import type { MirrorAddress } from '../client-configs/mirror-address.ts';
import { judgeClocks } from './clock.ts';
import { lookAtDisk } from './disk.ts';
import { lookAtDockerd } from './dockerd.ts';
import { type Check, one } from './finding.ts';
import { lookAtMirror, lookAtReadiness } from './mirror.ts';
import { tryPull } from './pull.ts';
import { targetOf } from './target.ts';
import { lookAtUpstream } from './upstreams.ts';

/** The rest is for what may come after. */
const lookMs = 20_000;
/** The door of a mirror answers from memory. */
const doorMs = 10_000;

export interface Asked {
  readonly image?: string | undefined;
  readonly mirror?: MirrorAddress | undefined;
  readonly admin?: URL | undefined;
}

/** All of them, in the order in which a person wants to read of them. What they look at together is asked for once. */
export async function checksOf(config: Config, { image, ...named }: Asked): Promise<readonly Check[]> {
  const target = await targetOf(config, named);
  const metrics = createMetrics();
  const log = await createLog({ level: 'silent', format: 'json' });
  const looking = AbortSignal.timeout(lookMs);
  const listed = Object.entries(config.upstreams).filter(([name]) => name !== '*');
  const mirror = lookAtMirror(target, AbortSignal.timeout(doorMs));
  const upstreams = config.offline
    ? []
    : listed.map(([name, settings]) => ({
        name,
        look: lookAtUpstream(name, { settings, metrics, log, signal: looking }),
      }));
  // Whoever waits for one hears of its failure; nobody may be waiting yet.
  for (const { look } of upstreams) look.catch(() => {});
  const wish = {
    mirror: target.address,
    registries: listed.map(([name]) => name),
    defaultUpstream: config.defaultUpstream,
  };
  return [
    { name: 'mirror', run: async () => (await mirror).findings },
    { name: 'ready', run: async (signal) => ((await mirror).isUp ? lookAtReadiness(target, signal) : []) },
    ...(config.offline ? [offlineCheck] : []),
    ...upstreams.map(({ name, look }) => ({ name: `upstream ${name}`, run: async () => (await look).findings })),
    {
      name: 'clock',
      run: async () => {
        const looks = await Promise.allSettled(upstreams.map(({ look }) => look));
        const clocks = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value.clocks : []));
        return judgeClocks(clocks, (await mirror).clockAheadMs);
      },
    },
    { name: 'disk', run: async () => (target.isHere ? lookAtDisk(config.cache) : elsewhere) },
    { name: 'dockerd', run: (signal) => lookAtDockerd(wish, { env: process.env, signal }) },
    {
      name: 'test pull',
      run: async (signal) => tryPull(target.registry, image, { isUp: (await mirror).isUp, signal }),
    },
  ];
}

const offlineCheck: Check = {
  name: 'upstreams',
  run: async () => one({ check: 'upstreams', mark: 'skip', what: 'offline is true: none is ever asked' }),
};

const elsewhere = one({
  check: 'disk',
  mark: 'skip',
  what: 'the cache is on another machine; see stillwater status --admin',
});
