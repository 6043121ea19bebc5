// What an issuer can do wrong, and that nobody is believed on its word then.
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Gate } from '../support/gate.ts';
import { IdentityScene } from './identity-scene.ts';

const discovery = '/.well-known/openid-configuration';

describe('an issuer that', () => {
  const cases: [string, (scene: IdentityScene) => void, RegExp][] = [
    [
      'has the discovery document of another issuer',
      ({ issuer }) => {
        issuer.lies = { issuer: 'https://evil.example' };
      },
      /its discovery document is that of another issuer, "https:\/\/evil\.example"/,
    ],
    [
      'has its own name with a slash more in its discovery document',
      ({ issuer }) => {
        issuer.lies = { issuer: `${issuer.name}/` };
      },
      /its discovery document is that of another issuer/,
    ],
    [
      'does not say where its keys are',
      ({ issuer }) => {
        issuer.lies = { jwks_uri: undefined };
      },
      /has no jwks_uri that begins with http:\/\/ or https:\/\//,
    ],
    [
      'has its keys in a file',
      ({ issuer }) => {
        issuer.lies = { jwks_uri: 'file:///etc/passwd' };
      },
      /has no jwks_uri/,
    ],
    [
      'has its keys in the document itself',
      ({ issuer }) => {
        issuer.lies = { jwks_uri: 'data:application/json,{"keys":[]}' };
      },
      /has no jwks_uri/,
    ],
    [
      'redirects to its discovery document',
      ({ issuer }) => issuer.server.faults.add({ path: discovery }, { redirect: `${issuer.server.url}${discovery}?2` }),
      /openid-configuration answered 307/,
    ],
    [
      'redirects to its keys',
      ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { redirect: `${issuer.server.url}/keys?2` }),
      /\/keys answered 307/,
    ],
    [
      'answers without end',
      ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { endless: true }),
      /\/keys answered with more than 262144 bytes/,
    ],
    [
      'answers with little that unpacks to much',
      ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { body: ' '.repeat(10_000_000), gzip: true }),
      /\/keys answered with more than 262144 bytes/,
    ],
    [
      'answers with a page',
      ({ issuer }) => issuer.server.faults.add({ path: discovery }, { body: '<html>guest network</html>' }),
      /openid-configuration answered with something that is not JSON/,
    ],
    [
      'answers with null',
      ({ issuer }) => issuer.server.faults.add({ path: discovery }, { body: 'null' }),
      /another issuer, undefined/,
    ],
    [
      'has no set of keys',
      ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { body: '{"keys":{}}' }),
      /JSON Web Key Set malformed/,
    ],
    [
      'fails',
      ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { status: 500 }),
      /\/keys answered 500 where only 200 will do/,
    ],
    ['hangs up', ({ issuer }) => issuer.server.faults.add({ path: '/keys' }, { hangUp: true }), /fetch failed/],
  ];

  test.each(cases)('%s proves nobody', async (_what, arrange, problem) => {
    await using scene = await IdentityScene.start();
    arrange(scene);
    expect(await scene.nameWith()).toBeUndefined();
    expect(scene.problems).toEqual([expect.stringMatching(problem)]);
    expect(scene.issuer.server.count({ path: '?2' })).toBe(0);
  });

  test('is asked over TLS does not give its keys without', async () => {
    await using scene = await IdentityScene.start({ name: 'https://issuer.example' });
    scene.issuer.lies = { jwks_uri: `${scene.issuer.server.url}/keys` };
    expect(await scene.nameWith()).toBeUndefined();
    expect(scene.issuer.keyRequests).toBe(0);
    expect(scene.problems).toEqual([expect.stringMatching(/has no jwks_uri that begins with https:\/\/$/)]);
    scene.issuer.lies = {};
    scene.pass(10);
    expect(await scene.nameWith()).toBe('ci');
  });

  test.each([
    ['is slow to answer', { holdHeaders: new Gate() }],
    ['stops in the middle of an answer', { stallAfter: 5 }],
  ])('%s is waited for no longer than it may take, by nobody', async (_what, effect) => {
    await using scene = await IdentityScene.start({ options: { timeoutMs: 500 } });
    scene.issuer.server.faults.add({ path: '/keys' }, effect);
    const names = Promise.all([scene.nameWith(), scene.nameWith()]);
    expect(await names).toEqual([undefined, undefined]);
    expect(scene.problems).toEqual([expect.stringMatching(/timeout/)]);
    expect(scene.issuer.keyRequests).toBe(1);
  });

  test('is slow to answer holds up nobody whose key is known and fresh', async () => {
    await using scene = await IdentityScene.start();
    await scene.nameWith();
    const gate = new Gate();
    scene.issuer.server.faults.add({ path: '/keys' }, { holdHeaders: gate });
    const unknown = scene.nameWith({ header: { kid: 'nobody' } });
    await gate.reached;
    expect(await scene.nameWith()).toBe('ci');
    gate.open();
    expect(await unknown).toBeUndefined();
    await setImmediate();
    expect(scene.issuer.keyRequests).toBe(2);
  });
});
