// Every fault in every situation, against the product as users run it: warm caches, then the faults, then the questions.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TlsServer } from '../upstream/self-signed.ts';
import { type CellResult, FaultCell, situations } from './fault-cell.ts';
import { type FaultRow, faultRows } from './fault-rows.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { until } from './until.ts';

/** Cells that one mirror serves: those that need another ttl, or a restart with another endpoint, have their own. */
type Group = { readonly isOld: boolean; readonly isMoved: boolean; readonly cells: FaultCell[] };
type Run = { readonly mirror: MirrorProcess; readonly cells: readonly FaultCell[]; readonly isMoved: boolean };

/** Who takes longer only waits for something, and the next may begin. */
const headStartMs = 250;

export async function runFaults(rows: readonly FaultRow[] = faultRows): Promise<CellResult[]> {
  await using stack = new AsyncDisposableStack();
  const selfSigned = stack.use(await TlsServer.start());
  const cells: FaultCell[] = [];
  for (const row of rows)
    for (const situation of situations) cells.push(stack.use(await FaultCell.start(row, situation, cells.length)));
  const runs = await Promise.all(
    groupsOf(cells).map(async (group): Promise<Run> => ({ ...group, mirror: stack.use(await startGroup(group)) })),
  );
  await Promise.all(runs.map((run) => warm(run, selfSigned.url)));
  const results = await askAll(runs);
  if (selfSigned.requests.length > 0) throw new Error('the mirror believed a certificate that nobody vouches for');
  return results;
}

function groupsOf(cells: readonly FaultCell[]): Group[] {
  const groups = new Map<string, Group>();
  for (const cell of cells) {
    const isOld = cell.situation === 'tag old';
    const isMoved = cell.row.endpoint !== undefined;
    const group = groups.get(`${isOld} ${isMoved}`) ?? { isOld, isMoved, cells: [] };
    groups.set(`${isOld} ${isMoved}`, group);
    group.cells.push(cell);
  }
  return [...groups.values()];
}

/** Siblings are off: what an upstream sees is then what the one question made the mirror ask. */
function startGroup({ cells, isOld }: Group): Promise<MirrorProcess> {
  return startMirror({
    upstreams: Object.fromEntries(cells.map((cell) => [cell.host, cell.settings()])),
    config: { cache: { siblings: false }, ...(isOld && { tags: { ttl: '1ms' } }) },
  });
}

async function warm({ mirror, cells, isMoved }: Run, selfSignedUrl: string): Promise<void> {
  for (const cell of cells) await cell.warm(mirror);
  const expected = cells.reduce((sum, { warmBlobs }) => sum + warmBlobs, 0);
  await until(
    'what was pulled is recorded',
    async () => ((await mirror.metric('stillwater_cache_blobs')) ?? 0) === expected,
  );
  await leaveHalves(mirror, cells);
  if (isMoved) await moveEndpoints(mirror, cells, selfSignedUrl);
  await mirror.restart();
  if (!isMoved) for (const cell of cells) await cell.greet(mirror);
}

async function leaveHalves(mirror: MirrorProcess, cells: readonly FaultCell[]): Promise<void> {
  const halves = cells.filter(({ situation }) => situation === 'blob half');
  for (const cell of halves) {
    await cell.beginHalf(mirror);
    await until(`half the layer of ${cell.host} is journalled`, () => hasCheckpoint(mirror, cell));
  }
  await mirror.kill();
}

async function hasCheckpoint({ cacheDir }: MirrorProcess, { layer }: FaultCell): Promise<boolean> {
  const hex = layer.digest.split(':')[1] ?? '';
  const files = await readdir(cacheDir, { recursive: true });
  const journal = files.find((file) => file.includes(hex) && file.endsWith('.journal'));
  // The first line is the size.
  return journal !== undefined && (await readFile(join(cacheDir, journal), 'latin1')).split('\n').length > 2;
}

async function moveEndpoints(mirror: MirrorProcess, cells: readonly FaultCell[], selfSignedUrl: string): Promise<void> {
  const config = JSON.parse(await readFile(mirror.configFile, 'utf8'));
  for (const cell of cells) {
    const { endpoint } = cell.row;
    config.upstreams[cell.host] = cell.settings(endpoint === 'self-signed' ? selfSignedUrl : endpoint);
  }
  await writeFile(mirror.configFile, JSON.stringify(config, null, 2));
}

async function askAll(runs: readonly Run[]): Promise<CellResult[]> {
  const asked: Promise<CellResult>[] = [];
  for (const { mirror, cells } of runs)
    for (const cell of cells) {
      await cell.bring();
      const answer = cell.ask(mirror);
      asked.push(answer);
      await Promise.race([answer, pause(headStartMs)]);
    }
  return await Promise.all(asked);
}
