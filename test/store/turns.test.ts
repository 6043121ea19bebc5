// So many at once, in the order of coming, and a turn that fails is over too.
import { expect, test } from 'vitest';
import { Turns } from '../../src/store/turns.ts';
import { Gate } from '../support/gate.ts';
import { isPending } from './scratch-store.ts';

test('no more run at once than may, and the rest come in their order', async () => {
  const turns = new Turns(2);
  const gates = Array.from({ length: 5 }, () => new Gate());
  const begun: number[] = [];
  const all = gates.map((gate, index) =>
    turns.run(async () => {
      begun.push(index);
      await gate.pass();
      return index;
    }),
  );
  expect(begun).toEqual([0, 1]);
  gates[1]?.open();
  expect(await all[1]).toBe(1);
  expect(begun).toEqual([0, 1, 2]);
  for (const gate of gates) gate.open();
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test('one that fails, at once or later, makes place', async () => {
  const turns = new Turns(1);
  const failing = turns.run(() => Promise.reject(new Error('full')));
  const thrown = turns.run(() => {
    throw new Error('bad');
  });
  const last = turns.run(async () => 'last');
  await expect(failing).rejects.toThrow('full');
  await expect(thrown).rejects.toThrow('bad');
  expect(await last).toBe('last');
});

test('a place that nobody wants is there for who comes later, and no more than one', async () => {
  const turns = new Turns(1);
  await turns.run(async () => {});
  const gate = new Gate();
  const one = turns.run(() => gate.pass());
  const other = turns.run(async () => {});
  expect(await isPending(other)).toBe(true);
  gate.open();
  await Promise.all([one, other]);
});
