// What the index answered lately: asked once, forgotten as one, bounded.
import { expect, test, vi } from 'vitest';
import { RowMemory } from '../../src/store/row-memory.ts';

const outside = () => false;

function counting(memory: RowMemory<string | undefined>) {
  const read = vi.fn((of: string, asker: string): string | undefined => `${of} for ${asker}`);
  return { read, recall: (of: string, asker = 'a') => memory.recall(of, asker, () => read(of, asker)) };
}

test('an answer is read once for each who asks, and that there is none is one too', () => {
  const { read, recall } = counting(new RowMemory(outside, 10));
  for (let again = 0; again < 3; again++) {
    expect(recall('one', 'a')).toBe('one for a');
    expect(recall('one', 'b')).toBe('one for b');
  }
  read.mockReturnValue(undefined);
  for (let again = 0; again < 3; again++) expect(recall('two')).toBeUndefined();
  expect(read.mock.calls).toEqual([
    ['one', 'a'],
    ['one', 'b'],
    ['two', 'a'],
  ]);
});

test('all answers of one thing are forgotten together, and no others', () => {
  const memory = new RowMemory<string | undefined>(outside, 10);
  const { read, recall } = counting(memory);
  const all = [
    ['one', 'a'],
    ['one', 'b'],
    ['two', 'a'],
  ] as const;
  for (const [of, asker] of all) recall(of, asker);
  memory.forget('one');
  read.mockClear();
  for (const [of, asker] of all) recall(of, asker);
  expect(read.mock.calls).toEqual([
    ['one', 'a'],
    ['one', 'b'],
  ]);
  memory.clear();
  read.mockClear();
  for (const [of, asker] of all) recall(of, asker);
  expect(read).toHaveBeenCalledTimes(3);
});

test('nothing that is read in a batch is remembered, what was known before is', () => {
  let isInBatch = false;
  const { read, recall } = counting(new RowMemory(() => isInBatch, 10));
  recall('before');
  isInBatch = true;
  for (let again = 0; again < 2; again++) recall('within');
  recall('before');
  isInBatch = false;
  recall('within');
  expect(read.mock.calls.map(([of]) => of)).toEqual(['before', 'within', 'within', 'within']);
});

test('the answers that were asked for longest ago make room, however many there are of one thing', () => {
  const { read, recall } = counting(new RowMemory(outside, 100));
  for (let thing = 0; thing < 90; thing++) recall(`${thing}`);
  recall('0');
  for (let asker = 0; asker < 20; asker++) recall('many', `${asker}`);
  read.mockClear();
  for (const of of ['0', '89', '1']) recall(of);
  expect(read.mock.calls.map(([of]) => of)).toEqual(['1']);
});

test('one thing that everybody asks for takes no more than its share', () => {
  const { read, recall } = counting(new RowMemory(outside, 1000));
  for (let thing = 0; thing < 900; thing++) recall(`${thing}`);
  for (let asker = 0; asker < 5000; asker++) recall('base', `${asker}`);
  read.mockClear();
  recall('899');
  recall('base', '4999');
  expect(read).not.toHaveBeenCalled();
});
