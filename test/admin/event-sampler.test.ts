// One look for everybody who follows: when it is taken, what is told, and that nobody looks for nobody.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventSampler } from '../../src/admin/event-sampler.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function sampler(options: { status?: () => Promise<unknown> } = {}) {
  const looks = { status: 0, fills: 0 };
  const world = { fills: [] as string[] };
  const sampler = new EventSampler({
    status: async () => {
      looks.status++;
      return options.status ? options.status() : { look: looks.status };
    },
    fills: () => {
      looks.fills++;
      return world.fills;
    },
  });
  const follow = () => {
    const heard: string[] = [];
    const following = sampler.follow((event, text) => {
      expect(text).toMatch(new RegExp(`^event: ${event}\ndata: .*\n\n$`));
      heard.push(text.slice('event: '.length).trim().replace('\ndata: ', ' '));
    });
    return { heard, leave: () => following[Symbol.dispose]() };
  };
  return { looks, world, follow };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test('the status comes at once and every two seconds', async () => {
  const { follow } = sampler();
  const one = follow();
  await pass(0);
  expect(one.heard).toEqual(['status {"look":1}']);
  await pass(1999);
  expect(one.heard).toHaveLength(1);
  await pass(1);
  await pass(2000);
  expect(one.heard).toEqual(['status {"look":1}', 'status {"look":2}', 'status {"look":3}']);
  one.leave();
});

test('the fills come every second while there are any, and once when they end', async () => {
  const { follow, world } = sampler();
  const { heard, leave } = follow();
  const fills = () => heard.filter((text) => text.startsWith('fills'));
  await pass(1000);
  expect(fills()).toEqual([]);
  world.fills = ['a'];
  await pass(1000);
  world.fills = ['a', 'b'];
  await pass(1000);
  world.fills = [];
  await pass(3000);
  expect(fills()).toEqual(['fills {"fills":["a"]}', 'fills {"fills":["a","b"]}', 'fills {"fills":[]}']);
  leave();
});

test('who comes while there are fills hears of them at once, and nobody else twice', async () => {
  const { follow, world } = sampler();
  world.fills = ['a'];
  const one = follow();
  await pass(0);
  const two = follow();
  await pass(0);
  expect(two.heard).toEqual(['fills {"fills":["a"]}', 'status {"look":2}']);
  expect(one.heard).toEqual(['fills {"fills":["a"]}', 'status {"look":1}']);
  one.leave();
  two.leave();
});

test('however many follow, it looks once for all', async () => {
  const { follow, looks } = sampler();
  const all = Array.from({ length: 20 }, follow);
  await pass(0);
  const before = { ...looks };
  await pass(4000);
  expect([looks.status - before.status, looks.fills - before.fills]).toEqual([2, 4]);
  for (const { heard } of all) expect(heard.slice(-1)).toEqual([`status {"look":${looks.status}}`]);
  for (const { leave } of all) leave();
});

test('nobody looks any more once the last has left, and again when somebody comes', async () => {
  const { follow, looks } = sampler();
  const [one, two] = [follow(), follow()];
  one.leave();
  one.leave();
  const atLeave = looks.status;
  await pass(2000);
  expect(looks.status).toBe(atLeave + 1);
  const before = looks.status;
  two.leave();
  await pass(60_000);
  expect([looks.status, vi.getTimerCount()]).toEqual([before, 0]);
  const three = follow();
  await pass(2000);
  expect(three.heard).toEqual([`status {"look":${before + 1}}`, `status {"look":${before + 2}}`]);
  three.leave();
  expect(vi.getTimerCount()).toBe(0);
});

describe('a status', () => {
  test('that is slow is waited for, and not asked for again meanwhile', async () => {
    const slow = Promise.withResolvers<string>();
    const { follow, looks } = sampler({ status: () => slow.promise });
    const one = follow();
    await pass(10_000);
    expect([looks.status, one.heard]).toEqual([2, []]);
    slow.resolve('late');
    await pass(2000);
    expect([looks.status, one.heard.at(-1)]).toEqual([3, 'status "late"']);
    one.leave();
  });

  test('that cannot be had is none, and the next one comes', async () => {
    let fails = true;
    const { follow } = sampler({ status: () => (fails ? Promise.reject(new Error('gone')) : Promise.resolve('fine')) });
    const one = follow();
    await pass(2000);
    fails = false;
    await pass(2000);
    expect(one.heard).toEqual(['status "fine"']);
    one.leave();
  });
});
