// Somebody in a queue: what ends the waiting, and that only one thing does.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Waiter } from '../../src/mirror/waiter.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function wait() {
  const leaving = new AbortController();
  const onSettled = vi.fn();
  const waiter = new Waiter<string>({ signal: leaving.signal, waitMs: 5000, onSettled });
  return { waiter, leaving, onSettled };
}

test('gets what it is given', async () => {
  const { waiter, onSettled } = wait();
  expect(waiter.isSettled).toBe(false);
  waiter.settle('room');
  expect(waiter.isSettled).toBe(true);
  expect(onSettled).toHaveBeenCalledOnce();
  expect(await waiter.settled).toBe('room');
});

test('gets nothing when its time is over', async () => {
  const { waiter, onSettled } = wait();
  vi.advanceTimersByTime(4999);
  expect(waiter.isSettled).toBe(false);
  vi.advanceTimersByTime(1);
  expect(onSettled).toHaveBeenCalledOnce();
  expect(await waiter.settled).toBeUndefined();
});

test('leaves at once when its signal fires, with the reason', async () => {
  const { waiter, leaving, onSettled } = wait();
  leaving.abort(new Error('gone'));
  expect(onSettled).toHaveBeenCalledOnce();
  await expect(waiter.settled).rejects.toThrow('gone');
});

test('fails as it is told', async () => {
  const { waiter } = wait();
  waiter.fail(new Error('broken'));
  await expect(waiter.settled).rejects.toThrow('broken');
});

test('is settled once, whatever comes after, and leaves no timer behind', async () => {
  const { waiter, leaving, onSettled } = wait();
  waiter.settle('room');
  expect(vi.getTimerCount()).toBe(0);
  leaving.abort(new Error('gone'));
  waiter.settle('other');
  waiter.fail(new Error('broken'));
  expect(onSettled).toHaveBeenCalledOnce();
  expect(await waiter.settled).toBe('room');
});

test('does not begin to wait when its signal has fired', () => {
  const signal = AbortSignal.abort(new Error('gone'));
  expect(() => new Waiter({ signal, waitMs: 5000, onSettled: vi.fn() })).toThrow('gone');
  expect(vi.getTimerCount()).toBe(0);
});
