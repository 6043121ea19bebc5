// What is decided without a question to anybody: the same as with one, or nothing.
import { expect, test } from 'vitest';
import { Access, type AccessOptions, type Exposure } from '../../src/access/access.ts';
import { nobody } from '../../src/access/principal.ts';
import { Rules } from '../../src/access/rules.ts';
import { app, hour, Scene } from './visibility-scene.ts';

const ci = { name: 'ci', by: 'network' } as const;
const allow = { effect: 'allow', principals: ['ci'], repositories: ['**'] } as const;

function accessOver(scene: Scene, rules: ConstructorParameters<typeof Rules>[0] = [allow]): Access {
  return new Access({
    asksForCredentials: false,
    rules: new Rules(rules),
    visibility: scene.visibility,
  } as unknown as AccessOptions);
}

const question = { ask: async () => true, signal: AbortSignal.timeout(10_000), address: '10.0.0.1' };

test.each<[Exposure, typeof nobody | typeof ci]>([
  ['nothing', nobody],
  ['public', nobody],
  ['private', nobody],
  ['private', ci],
  ['check', ci],
])('%s is decided at once, as with a question, for %o', async (exposure, principal) => {
  const access = accessOver(new Scene());
  const wish = { principal, repository: app, exposure };
  const decision = access.decideNow(wish);
  expect(decision).toBeDefined();
  expect(await access.decide(wish, question)).toEqual(decision);
});

test('what an upstream showed to everybody within the hour is decided at once, all else that it has to be asked about is not', () => {
  const scene = new Scene();
  const access = accessOver(scene);
  const wish = { principal: nobody, repository: app, exposure: 'check' } as const;
  expect(access.decideNow(wish)).toBeUndefined();
  const put = (isPublic: boolean, ageMs: number) =>
    scene.kept.set('registry.test/acme/app', { isPublic, checkedAt: Date.now() - ageMs });
  put(true, hour / 2);
  expect(access.decideNow(wish)).toEqual({ isAllowed: true, isPrivate: false });
  for (const [isPublic, ageMs] of [
    [true, hour],
    [true, -hour],
    [false, 0],
  ] as const) {
    put(isPublic, ageMs);
    expect(access.decideNow(wish)).toBeUndefined();
  }
  expect(scene.asked).toBe(0);
});
