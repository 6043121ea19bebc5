// Rows: manifests by tag and by digest, their HEADs, and answers that say nothing has changed.
import type { LoadRequest } from '../../test/support/load-exchange.ts';
import type { Thing } from './content.ts';
import { type Case, medianOf, type Outcome, perCpu, promise, type Section } from './report.ts';
import type { Scene, Server } from './scene.ts';
import { loadFor, takeTurns } from './turns.ts';
import { fetchHash } from './warm.ts';

const connections = 32;
const leastOfNginx = 0.35;
const leastOfRegistry = { 'by tag': 50, 'by digest': 20 } as const;

export async function manifests(scene: Scene): Promise<Section> {
  const cases: Case[] = [];
  const promises: Outcome[] = [];
  for (const thing of ['by tag', 'by digest'] as const) {
    const { nginx, nginxLogging, registry, mirror, content } = scene;
    const request = content.request(thing);
    const name = `manifests ${thing}, ${request.bytes} bytes, ${connections} clients`;
    const one = await turns(scene, { name, servers: [nginx, nginxLogging, registry, mirror] }, async () => request);
    cases.push(one);
    const ours = medianOf(one, 'stillwater');
    promises.push(
      promise(`stillwater / docker-registry, ${name}`, ours / medianOf(one, 'docker-registry'), {
        atLeast: leastOfRegistry[thing],
      }),
      promise(`stillwater / nginx, ${name}`, ours / medianOf(one, 'nginx'), { atLeast: leastOfNginx }),
      perCpu(one, 'stillwater', 'nginx'),
    );
  }
  return { row: 'manifests', cases, promises };
}

export async function heads(scene: Scene): Promise<Section> {
  const cases = await eachThing(scene, 'HEAD', async (request) => ({ ...request, method: 'HEAD' }));
  return { row: 'heads', cases, promises: [] };
}

export async function unchanged(scene: Scene): Promise<Section> {
  const cases = await eachThing(scene, '304', async (request, server) => {
    const { etag } = await fetchHash(server, request.path);
    return { ...request, status: 304, headers: { ...request.headers, 'if-none-match': etag } };
  });
  return { row: 'unchanged', cases, promises: [] };
}

type Shaped = (request: LoadRequest, server: Server) => Promise<LoadRequest>;

async function eachThing(scene: Scene, what: string, shaped: Shaped): Promise<Case[]> {
  const { nginx, registry, mirror, content } = scene;
  const cases: Case[] = [];
  for (const thing of ['by tag', '4 KiB'] satisfies Thing[]) {
    const name = `${what} of ${thing === 'by tag' ? 'a manifest by tag' : 'a blob'}, ${connections} clients`;
    const request = content.request(thing);
    cases.push(await turns(scene, { name, servers: [nginx, registry, mirror] }, (server) => shaped(request, server)));
  }
  return cases;
}

type Named = { readonly name: string; readonly servers: readonly Server[] };

function turns(scene: Scene, named: Named, request: (server: Server) => Promise<LoadRequest>): Promise<Case> {
  return takeTurns(scene, { ...named, unit: '/s' }, async (server) =>
    loadFor(scene, server, { requests: [await request(server)], connections, unit: '/s' }),
  );
}
