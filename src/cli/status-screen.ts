// The screen of `status`.
import { bar, counted, percent, printable, shortBytes, shortDigest, shortRate, shortTime } from './amounts.ts';
import type { ShownFill, ShownStatus, ShownUpstream } from './answers.ts';
import { tableLines } from './table.ts';

const mostFills = 10;
const widestBar = 30;

export function statusLines(status: ShownStatus, fills: readonly ShownFill[], columns: number): readonly string[] {
  return [...headLines(status), '', ...fillLines(fills, columns), '', ...upstreamLines(status.upstreams)];
}

function headLines(status: ShownStatus): readonly string[] {
  const { requests, cache } = status;
  const problems = status.readiness.filter(({ problem }) => problem !== null);
  const reload = status.lastReload;
  const answers = Object.entries(requests).map(([outcome, count]) => `${count} ${outcome}`);
  const rows = [
    ['mirror', `${status.version}, up ${shortTime(status.uptimeSeconds * 1000)}${status.isOffline ? ', offline' : ''}`],
    [
      'ready',
      problems.length === 0 ? 'yes' : `no: ${problems.map(({ name, problem }) => `${name}: ${problem}`).join('; ')}`,
    ],
    [
      'hit ratio',
      status.hitRatio === null ? 'nothing was asked for yet' : `${percent(status.hitRatio)}  (${answers.join(', ')})`,
    ],
    [
      'served',
      `${shortBytes(status.servedBytes)}, of which ${shortBytes(status.upstreamBytes)} came from upstreams: ${shortBytes(status.savedBytes)} saved`,
    ],
    [
      'disk',
      `${bar(cache.bytes, cache.budgetBytes, 20)}  ${shortBytes(cache.bytes)} of ${shortBytes(cache.budgetBytes)} in ${counted(cache.blobs, 'blob')}, ${cache.freeBytes === null ? 'an unknown amount' : shortBytes(cache.freeBytes)} free`,
    ],
    ...(cache.isWritable ? [] : [['', `not written to: ${cache.problem ?? 'see the log'}`]]),
    ...(reload?.error ? [['reload', `refused ${shortTime(Date.now() - reload.at)} ago: ${reload.error}`]] : []),
    ...(reload && reload.needsRestart.length > 0 ? [['restart', `needed for ${reload.needsRestart.join(', ')}`]] : []),
  ];
  return tableLines(rows);
}

function fillLines(fills: readonly ShownFill[], columns: number): readonly string[] {
  if (fills.length === 0) return ['no fills in flight'];
  const lines = fills.slice(0, mostFills).map((fill) => fillLine(fill, columns));
  const rest = fills.length - lines.length;
  return [`${counted(fills.length, 'fill')} in flight`, ...lines, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}

function fillLine(fill: ShownFill, columns: number): string {
  const { digest, receivedBytes, sizeBytes, bytesPerSecond, readers, state, repository } = fill;
  const name = `  ${shortDigest(digest)}  `;
  const amounts = `${shortBytes(receivedBytes)} / ${sizeBytes === undefined ? '?' : shortBytes(sizeBytes)}  ${
    state === 'arriving' ? shortRate(bytesPerSecond) : state
  }  ${counted(readers, 'reader')}  ${printable(repository)}`;
  const width = Math.min(widestBar, columns - name.length - amounts.length - 5);
  return `${name}${width >= 5 ? `${bar(receivedBytes, sizeBytes ?? 0, width)}  ` : ''}${amounts}`;
}

/** A line for each of which there is something to tell; the rest by name. */
function upstreamLines(upstreams: readonly ShownUpstream[]): readonly string[] {
  const rows = upstreams.flatMap(endpointRows);
  const told = new Set(rows.map(([name]) => name));
  const others = upstreams.filter(({ name }) => !told.has(name)).map(({ name }) => name);
  return [
    ...(rows.length > 0 ? tableLines([['UPSTREAM', 'ENDPOINT', 'STATE', 'LIMITS AND PROBLEMS'], ...rows]) : []),
    ...(others.length > 0 ? [printable(`nothing to tell of ${others.join(', ')}`)] : []),
  ];
}

function endpointRows({ name, endpoints }: ShownUpstream): string[][] {
  return endpoints.flatMap(({ endpoint, isCircuitOpen, retryInMs = 0, problem, limits }) => {
    const told = [...limits.map(limitText), problem ?? ''].filter((text) => text !== '');
    if (!isCircuitOpen && told.length === 0) return [];
    const state = isCircuitOpen
      ? `not asked for ${shortTime(retryInMs)}`
      : problem === undefined
        ? 'fine'
        : 'failed last';
    return [[name, endpoint, state, told.join('; ')]];
  });
}

function limitText(limit: ShownUpstream['endpoints'][number]['limits'][number]): string {
  const { credential, limit: most, remaining, windowSeconds, retryInMs, problem } = limit;
  const parts = [
    ...(remaining === undefined ? [] : [`${remaining}${most === undefined ? '' : ` of ${most}`} pulls left`]),
    ...(windowSeconds === undefined ? [] : [`in ${shortTime(windowSeconds * 1000)}`]),
    ...(retryInMs === undefined ? [] : [`rests for ${shortTime(retryInMs)}`]),
    ...(problem === undefined ? [] : [`refused: ${problem}`]),
  ];
  return parts.length === 0 ? '' : `${credential}: ${parts.join(' ')}`;
}
