// What a row of the comparison says, and how it is printed: medians with their spread, who was busy, what was promised.
import type { LoadResult } from '../../test/support/load-job.ts';
import { median } from '../table.ts';

/** One run against one server. */
export type Sample = {
  readonly value: number;
  /** CPU time a GB of body bytes, and an answer. */
  readonly cpuSecondsPerGb?: number;
  readonly cpuMicrosPerAnswer?: number;
  /** Cores that were busy with the server, all its processes and threads together, with the load client, and with all else. */
  readonly serverCores?: number;
  readonly clientCores?: number;
  readonly otherCores?: number;
  readonly peakRssMib?: number;
};

export type Unit = '/s' | 'GB/s' | 's' | 'ms' | 'MiB' | '' | 'KiB a pull';
export type Figures = { readonly server: string; readonly unit: Unit; readonly samples: readonly Sample[] };
export type Case = { readonly name: string; readonly figures: readonly Figures[] };
/** Without a promise it is only told. */
export type Outcome = { readonly name: string; readonly value: number; readonly isKept?: boolean };
export type Section = { readonly row: string; readonly cases: readonly Case[]; readonly promises: readonly Outcome[] };

export function sampleOf(result: LoadResult, value: number, peakRssMib?: number): Sample {
  const { answers, bytes, seconds, serverCpuSeconds, clientCpuSeconds, otherCpuSeconds } = result;
  return {
    value,
    ...(bytes > 0 && { cpuSecondsPerGb: serverCpuSeconds / (bytes / 1e9) }),
    ...(answers > 0 && { cpuMicrosPerAnswer: (serverCpuSeconds / answers) * 1e6 }),
    serverCores: serverCpuSeconds / seconds,
    clientCores: clientCpuSeconds / seconds,
    otherCores: otherCpuSeconds / seconds,
    ...(peakRssMib !== undefined && { peakRssMib }),
  };
}

export function medianOf({ figures }: Case, server: string): number {
  return median(figures.find((one) => one.server === server)?.samples.map(({ value }) => value) ?? []);
}

/** The same ratio in CPU time, which holds also while something else takes the machine: how much more work a core does. */
export function perCpu(one: Case, server: string, peer: string): Outcome {
  return { name: `${server} / ${peer}, work a CPU second, ${one.name}`, value: 1 / costRatio(one, server, peer) };
}

/** Of the CPU time for the same work; not a number where either was not measured. */
export function costRatio(one: Case, server: string, peer: string): number {
  return (costOf(one, server) ?? Number.NaN) / (costOf(one, peer) ?? Number.NaN);
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A figure that was not measured keeps no promise. */
export function promise(name: string, value: number, bound: Bound): Outcome {
  const isKept = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
  const words = 'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`;
  return { name: `${name} (${words})`, value, isKept };
}

export function textOf({ row, cases, promises }: Section): string {
  const lines = [`\n== ${row}`];
  for (const { name, figures } of cases) lines.push(name, ...figures.map(figuresLine));
  for (const { name, value, isKept } of promises) {
    const word = isKept === undefined ? 'measured' : isKept ? 'kept' : 'NOT KEPT';
    lines.push(`  ${word.padEnd(9)} ${name.padEnd(92)} ${short(value)}`);
  }
  return `${lines.join('\n')}\n`;
}

function figuresLine({ server, unit, samples }: Figures): string {
  const values = samples.map(({ value }) => value);
  const spread = values.length > 1 ? ` (${short(Math.min(...values))} – ${short(Math.max(...values))})` : '';
  const middle = (pick: Pick) => middleOf(samples, pick);
  const cores = [middle((one) => one.serverCores), middle((one) => one.clientCores), middle((one) => one.otherCores)];
  const isSmall = unit === '/s';
  const cost = middle(costIn(unit));
  const peak = middle((one) => one.peakRssMib);
  const words = [
    `${short(median(values))} ${unit}${spread}`.padEnd(36),
    cost === undefined ? '' : `CPU ${short(cost)} ${isSmall ? 'µs each' : 's/GB'}`.padEnd(19),
    cores.includes(undefined)
      ? ''
      : `cores ${cores.map((value) => value?.toFixed(2)).join(' ')} ${bound(cores)}`.padEnd(36),
    peak === undefined ? '' : `peak RSS ${short(peak)} MiB`,
  ];
  return `  ${server.padEnd(26)} ${words.join(' ').trimEnd()}`;
}

type Pick = (sample: Sample) => number | undefined;

/** Of those that know it. */
function middleOf(samples: readonly Sample[], pick: Pick): number | undefined {
  const known = samples.map(pick).filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}

/** What counts of the CPU time: an answer where they are small, a GB where they are not. */
function costIn(unit: Unit): Pick {
  return ({ cpuMicrosPerAnswer, cpuSecondsPerGb }) => (unit === '/s' ? cpuMicrosPerAnswer : cpuSecondsPerGb);
}

function costOf({ figures }: Case, server: string): number | undefined {
  const found = figures.find((one) => one.server === server);
  return found && middleOf(found.samples, costIn(found.unit));
}

/** Whoever has a core to itself and no more to give. */
function bound([server = 0, client = 0, other = 0]: readonly (number | undefined)[]): string {
  if (other > 0.5) return '(others busy)';
  if (client > 0.9 && client > server) return '(client-bound)';
  return server > 0.9 ? '(server-bound)' : '';
}

/** Three figures that count. */
function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}
