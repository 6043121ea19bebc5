// A bounded number of things at once, in the order in which they came, those that are urgent first.
import { expect, test } from 'vitest';
import { Slots } from '../../src/mirror/slots.ts';
import { patient } from './start-mirror.ts';

/** Whether the promise has settled by the time everything that is ready now has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const turn = new Promise<'later'>((resolve) => setImmediate(() => resolve('later')));
  return (await Promise.race([promise.catch(() => undefined), turn])) !== 'later';
}

test('lets as many in as there are slots, and the next when one is given back', async () => {
  const slots = new Slots(2);
  const [first, second, third, fourth] = [1, 2, 3, 4].map(() => slots.acquire(patient));
  const release = await first;
  await second;
  expect(await isSettled(third as Promise<unknown>)).toBe(false);
  release?.();
  await third;
  expect(await isSettled(fourth as Promise<unknown>)).toBe(false);
});

test('serves those who wait in their order', async () => {
  const slots = new Slots(1);
  const order: number[] = [];
  const release = await slots.acquire(patient);
  const waiting = [1, 2, 3].map(async (number) => {
    const giveBack = await slots.acquire(patient);
    order.push(number);
    giveBack();
  });
  release();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);
});

test('serves who is urgent before those who are not, also when it became so while it waited', async () => {
  const slots = new Slots(1);
  const order: string[] = [];
  const release = await slots.acquire(patient);
  let isUrgentNow = false;
  const waiting = [
    { name: 'never', isUrgent: () => false },
    { name: 'now', isUrgent: () => isUrgentNow },
    { name: 'always', isUrgent: () => true },
  ].map(async ({ name, isUrgent }) => {
    const giveBack = await slots.acquire(patient, { isUrgent });
    order.push(name);
    giveBack();
  });
  isUrgentNow = true;
  release();
  await Promise.all(waiting);
  expect(order).toEqual(['now', 'always', 'never']);
});

test('lets in who is not urgent while there is a slot', async () => {
  const slots = new Slots(2);
  await slots.acquire(patient, { isUrgent: () => false });
  expect(slots.all.taken).toBe(1);
  await slots.acquire(patient);
  expect(slots.all.taken).toBe(2);
});

test('keeps who may not run waiting, behind whom others pass, until it is told to look again', async () => {
  const slots = new Slots(3);
  let mayRun = false;
  const held = slots.acquire(patient, { isUrgent: () => false, mayRun: () => mayRun });
  await slots.acquire(patient, { isUrgent: () => false });
  await slots.acquire(patient);
  expect(await isSettled(held)).toBe(false);
  mayRun = true;
  expect(await isSettled(held)).toBe(false);
  slots.next();
  await held;
});

test('lets in who is urgent, whether it might run otherwise or not', async () => {
  const slots = new Slots(1);
  await slots.acquire(patient, { isUrgent: () => true, mayRun: () => false });
});

test('tells of a slot in the turn in which it is taken, so that the next is asked what is true', async () => {
  const slots = new Slots(4);
  let taken = 0;
  const claim = { isUrgent: () => false, mayRun: () => taken < 2, onTaken: () => taken++ };
  const claims = Array.from({ length: 4 }, () => slots.acquire(patient, claim));
  expect(taken).toBe(2);
  await Promise.all(claims.slice(0, 2));
  expect(slots.all.taken).toBe(2);
});

test('lets no share take more than it may have, urgent or not, and others pass', async () => {
  const slots = new Slots(3);
  const share = { most: 1, taken: 0 };
  const claim = { shares: [slots.all, share] };
  const release = await slots.acquire(patient, claim);
  const second = slots.acquire(patient, claim);
  await slots.acquire(patient);
  expect(await isSettled(second)).toBe(false);
  expect([slots.all.taken, share.taken]).toEqual([2, 1]);
  release();
  await second;
  expect([slots.all.taken, share.taken]).toEqual([2, 1]);
});

test('a waiter that leaves gives its place to the next, not a slot to nobody', async () => {
  const slots = new Slots(1);
  const release = await slots.acquire(patient);
  const leaving = new AbortController();
  const left = slots.acquire(leaving.signal);
  const next = slots.acquire(patient);
  leaving.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  expect(await isSettled(next)).toBe(false);
  release();
  await next;
});

test('a signal that fires after the slot was taken changes nothing', async () => {
  const slots = new Slots(1);
  const leaving = new AbortController();
  const release = await slots.acquire(leaving.signal);
  const next = slots.acquire(patient);
  leaving.abort(new Error('gone'));
  expect(await isSettled(next)).toBe(false);
  release();
  await next;
});

test('refuses a signal that has fired already', async () => {
  const slots = new Slots(1);
  await expect((async () => slots.acquire(AbortSignal.abort(new Error('gone'))))()).rejects.toThrow('gone');
  await slots.acquire(patient);
});
