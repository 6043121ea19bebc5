// Turns at something dear: how many at once, how many wait, who goes first, and who is sent away.
import { describe, expect, test } from 'vitest';
import { HashTurns, type HashTurnsOptions } from '../../src/access/hash-turns.ts';

function turns(options: Partial<HashTurnsOptions> = {}) {
  const clock = { ms: 0 };
  const now = () => clock.ms;
  const subject = new HashTurns({ atOnce: 1, mostWaiting: 3, mostOfOne: 10, patienceMs: 100, now, ...options });
  const started: string[] = [];
  const refused: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const ask = (name: string, { address = name, isKnown = false } = {}): Promise<string | undefined> => {
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    const answer = subject.run({ address, isKnown }, async () => {
      started.push(name);
      await gate.promise;
      return name;
    });
    return answer.then(
      (value) => {
        if (value === undefined) refused.push(name);
        return value;
      },
      () => undefined,
    );
  };
  const finish = async (name: string) => {
    gates.get(name)?.resolve();
    await settle();
  };
  return { ask, finish, started, refused, gates, clock };
}

/** Past every reaction to what has already been settled. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('turns', () => {
  test.each([1, 2])('are given to %i at once and to the others in the order they came', async (atOnce) => {
    const { ask, finish, started } = turns({ atOnce });
    const all = ['a', 'b', 'c', 'd'].map((name) => ask(name));
    await settle();
    expect(started.join('')).toBe('abcd'.slice(0, atOnce));
    await finish('a');
    expect(started.join('')).toBe('abcd'.slice(0, atOnce + 1));
    await finish('b');
    await finish('c');
    await finish('d');
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('are refused at once when as many wait as may', async () => {
    const { ask, started, refused } = turns();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void ask(name);
    await settle();
    expect({ started, refused }).toEqual({ started: ['a'], refused: ['e', 'f'] });
  });

  test('are given again once somebody has left', async () => {
    const { ask, finish, refused } = turns();
    for (const name of ['a', 'b', 'c', 'd']) void ask(name);
    await finish('a');
    void ask('e');
    await settle();
    expect(refused).toEqual([]);
  });

  test('go on after work that failed', async () => {
    const { ask, started, gates } = turns();
    void ask('a');
    void ask('b');
    gates.get('a')?.reject(new Error('no'));
    await settle();
    expect(started).toEqual(['a', 'b']);
  });
});

test('who has waited too long is sent away when the turn would be his, and leaves no place taken', async () => {
  const { ask, finish, started, refused, clock } = turns({ mostOfOne: 1 });
  void ask('a');
  void ask('b');
  clock.ms = 1;
  void ask('c');
  clock.ms = 101;
  await finish('a');
  expect({ started, refused }).toEqual({ started: ['a', 'c'], refused: ['b'] });
  void ask('b again', { address: 'b' });
  await finish('c');
  expect(started).toEqual(['a', 'c', 'b again']);
});

describe('an address', () => {
  test('takes no more places than it may, and leaves the rest to others', async () => {
    const { ask, started, refused, finish } = turns({ mostOfOne: 2 });
    for (const name of ['a', 'b', 'c']) void ask(name, { address: 'x' });
    void ask('d', { address: 'y' });
    await settle();
    expect({ started, refused }).toEqual({ started: ['a'], refused: ['c'] });
    await finish('a');
    void ask('e', { address: 'x' });
    void ask('f', { address: 'x' });
    await settle();
    expect(refused).toEqual(['c', 'f']);
  });

  test('that is known goes ahead of those that are not', async () => {
    const { ask, finish, started } = turns();
    void ask('a');
    void ask('b');
    void ask('known', { isKnown: true });
    await finish('a');
    expect(started).toEqual(['a', 'known']);
  });

  test('that is known takes the place of the last that is not, when there is none', async () => {
    const { ask, finish, started, refused } = turns();
    for (const name of ['a', 'b', 'c', 'd']) void ask(name);
    void ask('known', { isKnown: true });
    await settle();
    expect(refused).toEqual(['d']);
    await finish('a');
    expect(started).toEqual(['a', 'known']);
  });

  test('that lost its place to another may have one again', async () => {
    const { ask, finish, refused } = turns({ mostOfOne: 1 });
    for (const name of ['a', 'b', 'c', 'd']) void ask(name);
    void ask('known', { isKnown: true });
    await finish('a');
    void ask('d again', { address: 'd' });
    await settle();
    expect(refused).toEqual(['d']);
  });

  test('that is known is refused when only known ones wait', async () => {
    const { ask, refused } = turns();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void ask(name, { isKnown: true });
    await settle();
    expect(refused).toEqual(['e']);
  });
});
