// Repositories that stay public or private, and two that turned from the one into the other after they had been pulled.
import { expect } from 'vitest';
import { addWithNeighbours, doorsOf, familyOf, type Image, imageOf, knock, strangerOf } from './access-doors.ts';
import { type AccessScene, type Person, registry, robot } from './access-scene.ts';
import type { FakeUpstream } from './fake-upstream.ts';
import { Gate } from './gate.ts';
import { contentOf } from './served-content.ts';
import { ageVerdicts } from './verdict-clock.ts';

export const kinds = ['public', 'private', 'published', 'withdrawn'] as const;
export type Kind = (typeof kinds)[number];
export type Images = Readonly<Record<Kind, Image>>;

export const repositoryOf = (kind: Kind): string => `acme/${kind}`;
/** Verdicts are believed for an hour. */
const longerThanBelievedMs = 2 * 60 * 60 * 1000;

export function stockKinds(upstream: FakeUpstream): Images {
  upstream.addImage('open/elsewhere');
  const images = kinds.map((kind) => {
    const repository = repositoryOf(kind);
    return [kind, imageOf(registry, repository, addWithNeighbours(upstream, repository))] as const;
  });
  for (const kind of ['private', 'published'] as const) hide(upstream, kind);
  return Object.fromEntries(images) as Images;
}

/** Alice pulls everything, the others what they may; then two repositories turn, and more than an hour goes by. */
export async function learnThenTurn(scene: AccessScene, images: Images, how: 'running' | 'stopped'): Promise<void> {
  const learn = async (kind: Kind, person: Person, expected: string) => {
    const doors = doorsOf(images[kind]);
    const told: string[] = [];
    for (const name of ['manifest by tag', 'config blob', 'layer', 'tags/list', 'referrers'])
      told.push(await knock(scene.callers[person], scene.mirror.url, doors[name] ?? { path: '' }));
    expect([kind, person, ...told]).toEqual([kind, person, ...told.map(() => expected)]);
  };
  for (const kind of ['public', 'withdrawn'] as const) await learn(kind, 'anonymous', '200');
  for (const kind of ['private', 'published'] as const) await learn(kind, 'anonymous', '404');
  for (const kind of kinds) {
    await learn(kind, 'alice', '200');
    // Links its layer, should naming it be enough.
    await scene.callers.alice.ask(
      `${scene.mirror.url}/v2/${registry}/${strangerOf(repositoryOf(kind))}/manifests/latest`,
    );
  }
  for (const name of familyOf(repositoryOf('published'))) scene.upstream.makePublic(name);
  hide(scene.upstream, 'withdrawn');
  await letAnHourPass(scene, how);
}

/** Every verdict grows old, under the running process or beside the stopped one, which forgets what it had in memory. */
export async function letAnHourPass({ mirror }: AccessScene, how: 'running' | 'stopped'): Promise<void> {
  if (how === 'stopped') await mirror.stop();
  expect(ageVerdicts(mirror.cacheDir, longerThanBelievedMs)).toBeGreaterThan(0);
  if (how === 'stopped') await mirror.restart();
}

export function hide(upstream: FakeUpstream, kind: Kind): void {
  for (const name of familyOf(repositoryOf(kind))) upstream.makePrivate(name, robot.username);
}

/** Asks for a layer that alice's pull is just bringing; the answer has to come before the upstream's last byte. */
export async function joinFill(scene: AccessScene, kind: Kind, person: Person): Promise<string> {
  const { upstream, mirror, callers } = scene;
  const repository = repositoryOf(kind);
  const layer = contentOf(`joined by ${person} in ${repository} `.repeat(3000));
  const tag = `joined-${person}`;
  upstream.addImage(repository, { tag, layers: [layer] });
  const base = `${mirror.url}/v2/${registry}/${repository}`;
  expect((await callers.alice.ask(`${base}/manifests/${tag}`)).status).toBe(200);
  const gate = new Gate();
  const hold = upstream.faults.add({ kind: 'blob', path: layer.digest }, { holdBody: { after: 1000, gate } });
  try {
    const first = callers.alice.begin(`${base}/blobs/${layer.digest}`);
    await gate.reached;
    const second = await callers[person].begin(`${base}/blobs/${layer.digest}`);
    gate.open();
    const arrived = (await (await first).rest).length;
    const received = (await second.rest).length;
    if (arrived !== layer.size) return `alice got ${arrived} bytes`;
    return second.status === 200 && received !== layer.size ? `200 with ${received} bytes` : String(second.status);
  } finally {
    gate.open();
    hold.remove();
  }
}
