// The admin listener: who gets through which of its doors, and that nothing of it hangs on the registry listener.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccessScene } from '../support/access-scene.ts';
import { Caller, type Heard } from '../support/caller.ts';
import { rowsOf } from '../support/written-table.ts';

// The operator shows the token of the listener, the forger the same token with its last letter changed. Whether a door
// is there at all is told to nobody who may not go through it.
const table = `
door                                               | anonymous mallory guesser alice forger | admin operator
GET /                                              | shut      shut    shut    shut  shut   | open  open
GET /api/v1/status                                 | shut      shut    shut    shut  shut   | open  open
GET /api/v1/upstreams                              | shut      shut    shut    shut  shut   | open  open
GET /api/v1/images                                 | shut      shut    shut    shut  shut   | open  open
GET /api/v1/export?image=reg.test/acme/private     | shut      shut    shut    shut  shut   | open  open
GET /api/v1/openapi.json                           | shut      shut    shut    shut  shut   | open  open
GET /api/v1/events                                 | shut      shut    shut    shut  shut   | open  open
GET /nothing/of/the/kind                           | shut      shut    shut    shut  shut   | open  open
GET //api/v1/upstreams                             | shut      shut    shut    shut  shut   | open  open
GET /API/V1/upstreams                              | shut      shut    shut    shut  shut   | open  open
GET /livez/../api/v1/upstreams                     | shut      shut    shut    shut  shut   | open  open
GET /livez/%2e%2e/api/v1/upstreams                 | shut      shut    shut    shut  shut   | open  open
HEAD /api/v1/upstreams                             | shut      shut    shut    shut  shut   | open  open
PUT /api/v1/images/reg.test/acme/app:latest/pin    | shut      shut    shut    shut  shut   | open  open
DELETE /api/v1/images/reg.test/acme/app:latest/pin | shut      shut    shut    shut  shut   | open  open
POST /api/v1/reload                                | shut      shut    shut    shut  shut   | open  open
GET /livez                                         | open      open    open    open  open   | open  open
GET /readyz                                        | open      open    open    open  open   | open  open
GET /metrics                                       | open      open    open    open  open   | open  open
`;

describe('the admin listener', () => {
  let scene: AccessScene;
  let forger: Caller;

  beforeAll(async () => {
    scene = await AccessScene.start({ stock: (upstream) => upstream.addImage('acme/app') });
    const { authorization = '' } = scene.operator;
    forger = new Caller('forger', '127.0.1.7', `${authorization.slice(0, -1)}X`);
    const { anonymous } = scene.callers;
    expect((await anonymous.ask(`${scene.mirror.url}/v2/reg.test/acme/app/manifests/latest`)).status).toBe(200);
  });

  afterAll(async () => {
    forger?.[Symbol.dispose]();
    await scene?.[Symbol.asyncDispose]();
  });

  test.each(rowsOf(table))('%s', async (door, ...expected) => {
    const { anonymous, mallory, guesser, alice, admin } = scene.callers;
    const [method = '', path = ''] = door?.split(' ') ?? [];
    const told = async (caller: Caller) => seen(await caller.glance(scene.mirror.adminUrl, path, method));
    const strangers: string[] = [];
    for (const caller of [anonymous, mallory, guesser, alice, forger]) strangers.push(await told(caller));
    expect([strangers.join(' '), `${await told(admin)} ${await told(scene.operator)}`]).toEqual(expected);
  });

  test('has no door on the registry listener, whoever asks', async () => {
    for (const caller of [...scene.everybody, scene.operator])
      for (const path of ['/api/v1/upstreams', '/api/v1/status', '/metrics', '/livez', '/api/v1/export'])
        expect([path, (await caller.ask(`${scene.mirror.url}${path}`)).status]).toEqual([path, 404]);
  });

  test('its token opens nothing of the registry', async () => {
    scene.upstream.addImage('acme/hidden');
    scene.upstream.makePrivate('acme/hidden', 'robot');
    const path = '/v2/reg.test/acme/hidden/manifests/latest';
    expect((await scene.callers.alice.ask(`${scene.mirror.url}${path}`)).status).toBe(200);
    expect((await scene.operator.ask(`${scene.mirror.url}${path}`)).status).toBe(404);
  });
});

/** Nobody is told more than that it is shut; too many guesses, and that is said before anything else. */
function seen({ status, headers, body }: Pick<Heard, 'status' | 'headers' | 'body'>): string {
  if (status !== 401 && status !== 403 && status !== 429) return 'open';
  if (/reg\.test|upstream/.test(body.toString())) return `shut, but it says ${body}`;
  return status !== 401 || headers['www-authenticate'] !== undefined ? 'shut' : '401 without a challenge';
}
