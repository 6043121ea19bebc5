// Figures of upstreams, which a reload may change or take away: read, when somebody scrapes, from those that there are.
import { Gauge, Registry } from 'prom-client';

export interface UpstreamFigures {
  /** As the configuration names it. */
  readonly name: string;
  readonly endpoints: readonly {
    readonly endpoint: string;
    readonly isCircuitOpen: boolean;
    readonly limits: readonly LimitFigures[];
  }[];
}

interface LimitFigures {
  readonly credential: string;
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
}

/** Labels that stand for no upstream, or for all that the configuration does not name. */
const lasting: readonly string[] = ['none', '*'];

/** Shows nothing of upstreams that are gone, whatever the last of their transfers still count. */
export class FiguresRegistry extends Registry {
  #upstreams: (() => readonly UpstreamFigures[]) | undefined;

  /** `undefined` until they are told. */
  get upstreams(): readonly UpstreamFigures[] | undefined {
    return this.#upstreams?.();
  }

  watch(upstreams: () => readonly UpstreamFigures[]): void {
    this.#upstreams = upstreams;
  }

  override async metrics(): Promise<string> {
    // prom-client has a spelling of its own for what is no number.
    const text = (await super.metrics()).replace(/ Nan$/gm, ' NaN');
    const { upstreams } = this;
    if (!upstreams) return text;
    const shown = new Set([...lasting, ...upstreams.map(({ name }) => name)]);
    return text.replace(seriesOfUpstream, (line, name: string) => (shown.has(name) ? line : ''));
  }
}

/** A quote inside of a label's value is escaped: this can only be the label. */
const seriesOfUpstream = /^[^#\n][^\n]*?[{,]upstream="([^"\n]*)"[^\n]*\n/gm;

export function upstreamGauges(registry: FiguresRegistry) {
  const registers = [registry];
  const limitGauge = (name: string, help: string, figure: 'limit' | 'remaining') =>
    new Gauge({
      name,
      help,
      labelNames: ['upstream', 'credential'],
      registers,
      collect() {
        const { upstreams } = registry;
        if (!upstreams) return;
        this.reset();
        for (const { upstream, credential, limits } of scarcest(upstreams)) {
          const count = limits[figure];
          if (count !== undefined) this.set({ upstream, credential }, count);
        }
      },
    });
  return {
    rateLimit: limitGauge(
      'stillwater_upstream_ratelimit_limit',
      'Pulls that the upstream gives to a credential in its window, as it last said.',
      'limit',
    ),
    rateLimitRemaining: limitGauge(
      'stillwater_upstream_ratelimit_remaining',
      'Pulls that are left to a credential, as the upstream last said.',
      'remaining',
    ),
    circuitOpen: new Gauge({
      name: 'stillwater_upstream_circuit_open',
      help: '1 while an endpoint is not asked because it failed, but for a probe now and then; else 0.',
      labelNames: ['upstream', 'endpoint'],
      registers,
      collect() {
        const { upstreams } = registry;
        if (!upstreams) return;
        this.reset();
        for (const { name: upstream, endpoints } of upstreams)
          for (const { endpoint, isCircuitOpen } of endpoints) this.set({ upstream, endpoint }, isCircuitOpen ? 1 : 0);
      },
    }),
  };
}

/** Of what several endpoints say of a credential, the one that leaves least. */
function scarcest(upstreams: readonly UpstreamFigures[]) {
  return upstreams.flatMap(({ name: upstream, endpoints }) => {
    const told = endpoints.flatMap(({ limits }) => limits).filter(({ remaining }) => remaining !== undefined);
    const sorted = told.toSorted((one, other) => (other.remaining ?? 0) - (one.remaining ?? 0));
    return [...new Map(sorted.map((limits) => [limits.credential, limits]))].map(([credential, limits]) => ({
      ...{ upstream, credential, limits },
    }));
  });
}
