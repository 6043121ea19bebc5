// The fault table as a person reads it: one row a fault, in a cell what the client got, how fast, and what the upstream saw.
import { type CellResult, type Situation, situations } from '../test/support/fault-cell.ts';
import type { Answer } from '../test/support/fault-client.ts';
import { brokenPromises } from '../test/support/fault-promises.ts';
import { faultRows } from '../test/support/fault-rows.ts';

const heads: Record<Situation, string> = {
  'tag fresh': 'cached, fresh',
  'tag old': 'cached, old',
  'tag missing': 'not cached',
  'blob cached': 'cached',
  'blob half': 'half cached',
  'blob missing': 'not cached',
};

export function faultTable(results: readonly CellResult[], kind: 'tag' | 'blob'): string {
  const columns = situations.filter((situation) => situation.startsWith(kind));
  const cell = (name: string, column: Situation) => {
    const found = results.find(({ row, situation }) => row.name === name && situation === column);
    return found === undefined ? '' : cellText(found);
  };
  const lines = [
    [kind, ...columns.map((column) => heads[column])],
    ...faultRows.map(({ name }) => [name, ...columns.map((column) => cell(name, column))]),
  ].map((line) => `| ${line.join(' | ')} |`);
  return lines.toSpliced(1, 0, `|${'---|'.repeat(columns.length + 1)}`).join('\n');
}

function cellText(result: CellResult): string {
  const [first, second] = result.answers;
  const isTag = result.situation.startsWith('tag');
  const got = first === undefined ? '' : isTag ? bothText(first, second) : blobText(first);
  const lost = result.rest.every(({ status, isComplete }) => status === 200 && isComplete)
    ? ''
    : ', its blobs did not come';
  const mark = brokenPromises(result).length === 0 ? '' : ' **broken promise**';
  return `${got}${lost} · ${result.saw.join(' ') || '–'}${mark}`;
}

/** HEAD and GET of a tag, in one word where they are alike. */
function bothText(first: Answer, second: Answer | undefined): string {
  const isAlike = second !== undefined && wordOf(first) === wordOf(second);
  if (second === undefined) return `${wordOf(first)} ${time(first.headersMs)}`;
  if (isAlike && first.headersMs < 1000) return `${wordOf(first)} ${time(Math.max(first.headersMs, second.headersMs))}`;
  return `${wordOf(first)} ${time(first.headersMs)}, then ${isAlike ? '' : `${wordOf(second)} `}${time(second.headersMs)}`;
}

function blobText(answer: Answer): string {
  const head = `${wordOf(answer)} ${time(answer.headersMs)}`;
  if (answer.status !== 200) return head;
  const missing = Number(answer.headers['content-length']) - answer.received;
  if (!answer.isComplete) return `${head}, closed ${bytes(missing)} short after ${time(answer.totalMs)}`;
  return answer.totalMs < 1000 ? head : `${head}, whole after ${time(answer.totalMs)}`;
}

function wordOf({ status, headers }: Answer): string {
  return status === 200 ? `200 ${outcomeOf(String(headers['cache-status']))}` : String(status || 'no answer');
}

function outcomeOf(told: string): string {
  if (told.includes('stale-if-error')) return 'stale';
  if (told.includes('fwd=stale')) return 'revalidated';
  if (told.includes('uri-miss')) return told.includes('collapsed') ? 'joined' : 'miss';
  return told.includes('hit') ? 'hit' : '';
}

function bytes(count: number): string {
  return count < 1024 ? `${count} B` : `${Math.round(count / 1024)} KiB`;
}

function time(ms: number): string {
  return ms < 999.5 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}
