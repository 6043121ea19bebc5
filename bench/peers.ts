// Stillwater, nginx and docker-registry on the same files in the same run: medians, ratios, and which promises are kept.
// npm run bench -- [--only ROW…] [--rounds N] [--blobs N] [--json FILE|-]. Needs nginx and docker-registry; some rows need root and dockerd.
import { writeFile } from 'node:fs/promises';
import { requireTools } from '../test/support/tool.ts';
import { arriving, cold } from './peers/cold.ts';
import { dockerPull } from './peers/docker-pull.ts';
import { firstByte } from './peers/first-byte.ts';
import { hits } from './peers/hits.ts';
import { describeMachine } from './peers/machine.ts';
import { heads, manifests, unchanged } from './peers/manifests.ts';
import { readOptions } from './peers/options.ts';
import { type Section, textOf } from './peers/report.ts';
import { openScene, type Scene } from './peers/scene.ts';
import { sequential } from './peers/sequential.ts';
import { slowReaders } from './peers/slow-readers.ts';
import { startup } from './peers/startup.ts';
import { tls } from './peers/tls.ts';
import { progress } from './table.ts';

const rows: Readonly<Record<string, (scene: Scene) => Promise<Section | undefined>>> = {
  '4KiB': (scene) => hits(scene, '4 KiB'),
  '1MiB': (scene) => hits(scene, '1 MiB'),
  '256MiB': (scene) => hits(scene, '256 MiB'),
  manifests,
  heads,
  unchanged,
  cold,
  arriving,
  tls,
  'first-byte': firstByte,
  startup,
  'slow-readers': slowReaders,
  sequential,
  'docker-pull': dockerPull,
};

const options = readOptions(Object.keys(rows));
if (!requireTools('nginx', 'docker-registry')) process.exit(2);
const wanted = Object.entries(rows).filter(([name]) => options.only.length === 0 || options.only.includes(name));
const say = (text: string) => (options.json === '-' ? process.stderr : process.stdout).write(`${text}\n`);
const interrupted = new AbortController();
// The first asks for an end with everything cleared away, the second for an end.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () =>
    interrupted.signal.aborted ? process.exit(130) : interrupted.abort(new Error(`stopped by ${signal}`)),
  );

const machine = await describeMachine();
for (const [name, value] of Object.entries(machine)) say(`${name}: ${value}`);
const sections: Section[] = [];
/** Rows without a result, and why. */
const missing: Record<string, string> = {};
try {
  await measure(interrupted.signal);
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  progress(String(interrupted.signal.reason));
  process.exitCode = 130;
}

const broken = sections.flatMap(({ promises }) => promises).filter(({ isKept }) => isKept === false);
for (const { name } of broken) say(`not kept: ${name}`);
for (const [name, why] of Object.entries(missing)) say(`no result: ${name}: ${why}`);
const { rounds, json } = options;
const text = `${JSON.stringify({ machine, rounds, sections, missing }, undefined, 2)}\n`;
if (json === '-') process.stdout.write(text);
else if (json !== undefined) await writeFile(json, text);
if (broken.length > 0) process.exitCode ||= 1;

async function measure(signal: AbortSignal): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const scene = await openScene({ ...options, signal }, opened);
  for (const [name, row] of wanted) {
    try {
      const section = await row(scene);
      if (section) {
        sections.push(section);
        say(textOf(section));
      } else missing[name] = 'skipped, as said above';
    } catch (error) {
      signal.throwIfAborted();
      // The others have their say all the same.
      missing[name] = error instanceof Error ? error.message : String(error);
      process.exitCode = 1;
    }
  }
}
