// What every cell of the fault table has to keep, whatever the fault: one sentence for each promise that was broken.
import type { CellResult } from './fault-cell.ts';
import type { Answer } from './fault-client.ts';
import { type FaultRow, layerBytes } from './fault-rows.ts';

const longestHeadersMs = 10_000;
/** tags.revalidateTimeout, and what two cores and a hundred neighbours add. */
const longestCachedMs = 3_000;
/** More than this of a layer that was half there is more than the rest of it. */
const mostOfRest = 0.75 * layerBytes;
const unavailable = [502, 503, 504];

export function brokenPromises(result: CellResult): string[] {
  const all = [...result.answers, ...result.rest];
  const broken = [
    ...all.flatMap((answer) => brokenByAnswer(answer, result.row)),
    ...brokenBySituation(result),
    ...brokenByRow(result),
  ];
  return broken.map((what) => `${result.row.name} × ${result.situation}: ${what}`);
}

function brokenByAnswer(answer: Answer, row: FaultRow): string[] {
  const { method, status, headers, headersMs, isTrue, isComplete, received } = answer;
  const broken: string[] = [];
  if (status === 0) broken.push(`${method} never got headers`);
  if (headersMs > longestHeadersMs) broken.push(`${method} got its headers after ${headersMs.toFixed(0)} ms`);
  // A wrong byte is known as one at the end only: then the answer is closed short, and nobody takes it for the whole.
  if (status === 200 && isComplete && !isTrue)
    broken.push(`${method} got a wrong ${received} bytes, and a 200 for them`);
  if (status === 200 || status === 0) return broken;
  if (!(row.refusals ?? unavailable).includes(status)) broken.push(`${method} got ${status}: ${answer.text}`);
  for (const name of ['www-authenticate', 'retry-after'])
    if (headers[name] !== undefined) broken.push(`${method} got a ${name} header`);
  if (method === 'GET' && !isOciError(answer.text))
    broken.push(`${method} got ${status} without OCI JSON: ${answer.text}`);
  return broken;
}

function isOciError(text: string): boolean {
  try {
    const { errors } = JSON.parse(text);
    return typeof errors[0].code === 'string' && errors[0].message.length > 10;
  } catch {
    return false;
  }
}

function brokenBySituation({ situation, answers, rest, saw, row }: CellResult): string[] {
  const broken: string[] = [];
  const isCached = situation === 'tag fresh' || situation === 'blob cached';
  const mustPull = isCached || (situation === 'tag old' && row.proves !== 'removal');
  if (mustPull && ![...answers, ...rest].every(isWhole)) broken.push('what is cached did not come');
  if (mustPull && situation.startsWith('tag') && rest.length === 0) broken.push('the cached image could not be pulled');
  if (mustPull && answers.some(({ headersMs }) => headersMs > longestCachedMs))
    broken.push(`what is cached waited ${Math.max(...answers.map(({ headersMs }) => headersMs)).toFixed(0)} ms`);
  if (isCached && saw.length > 0) broken.push(`the upstream was asked for what is cached: ${saw.join(', ')}`);
  return broken;
}

function brokenByRow({ row, situation, answers, upstreamBytes }: CellResult): string[] {
  const broken: string[] = [];
  if (row.proves === 'removal' && (situation === 'tag old' || situation.endsWith('missing')))
    for (const { status } of answers) if (status !== 404) broken.push(`proven removal was answered with ${status}`);
  if (row.proves !== 'recovery') return broken;
  if (!answers.every(isWhole)) broken.push('the mirror did not mend it');
  if (situation === 'blob half' && upstreamBytes > mostOfRest) broken.push('the half that was there came again');
  return broken;
}

function isWhole({ status, isTrue, isComplete }: Answer): boolean {
  return status === 200 && isTrue && isComplete;
}
