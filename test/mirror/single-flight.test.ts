// One piece of work a key: who comes while it runs shares its end, and who leaves changes nothing.
import { expect, test, vi } from 'vitest';
import { SingleFlight } from '../../src/mirror/single-flight.ts';
import { abandonable } from '../../src/upstream/abandonable.ts';
import { patient } from './start-mirror.ts';

function heldWork() {
  const end = Promise.withResolvers<string>();
  let runs = 0;
  const work = () => {
    runs++;
    return end.promise;
  };
  return { end, work, runs: () => runs };
}

test('runs the work once for everyone who asks meanwhile, and tells who joined', async () => {
  const flights = new SingleFlight<string>();
  const { end, work, runs } = heldWork();
  const asked = [1, 2, 3].map(() => flights.do('key', patient, work));
  end.resolve('done');
  expect(await Promise.all(asked)).toEqual([
    { value: 'done', joined: false },
    { value: 'done', joined: true },
    { value: 'done', joined: true },
  ]);
  expect(runs()).toBe(1);
});

test('keeps keys apart', async () => {
  const flights = new SingleFlight<string>();
  const { end, work, runs } = heldWork();
  const asked = ['one', 'other'].map((key) => flights.do(key, patient, work));
  end.resolve('done');
  await Promise.all(asked);
  expect(runs()).toBe(2);
});

test('starts anew once the work has ended, well or not', async () => {
  const flights = new SingleFlight<number>();
  let runs = 0;
  await expect(flights.do('key', patient, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  for (const run of [1, 2])
    expect(await flights.do('key', patient, async () => ++runs)).toEqual({ value: run, joined: false });
});

test('gives the failure to everyone who waits', async () => {
  const flights = new SingleFlight<string>();
  const { end, work } = heldWork();
  const asked = [1, 2].map(() => flights.do('key', patient, work));
  end.reject(new Error('broken'));
  for (const { status } of await Promise.allSettled(asked)) expect(status).toBe('rejected');
});

test('goes on when the caller that started it leaves', async () => {
  const flights = new SingleFlight<string>();
  const { end, work, runs } = heldWork();
  const leaving = new AbortController();
  const first = flights.do('key', leaving.signal, work);
  const second = flights.do('key', patient, work);
  leaving.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  end.resolve('done');
  expect(await second).toEqual({ value: 'done', joined: true });
  expect(runs()).toBe(1);
});

test('a failure after everybody has left is nobody’s unhandled rejection', async () => {
  const flights = new SingleFlight<string>();
  const { end, work } = heldWork();
  const leaving = new AbortController();
  const only = flights.do('key', leaving.signal, work);
  leaving.abort(new Error('gone'));
  await expect(only).rejects.toThrow('gone');
  end.reject(new Error('broken'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(await flights.do('key', patient, async () => 'again')).toEqual({ value: 'again', joined: false });
});

test('an abandonable wait lets go of its signal when it ends', async () => {
  const leaving = new AbortController();
  expect(await abandonable(Promise.resolve('done'), leaving.signal)).toBe('done');
  leaving.abort(new Error('gone'));
  await expect(abandonable(new Promise(() => {}), leaving.signal)).rejects.toThrow('gone');
});

test('tells for how long the work of a key has been running', async () => {
  const flights = new SingleFlight<string>();
  const { end, work } = heldWork();
  const asked = flights.do('key', patient, work);
  expect(flights.ageMs('other')).toBe(0);
  await vi.waitUntil(() => flights.ageMs('key') > 0);
  end.resolve('done');
  await asked;
  expect(flights.ageMs('key')).toBe(0);
});
