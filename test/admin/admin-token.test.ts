// That the time a comparison takes says nothing.
import * as crypto from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { showsToken } from '../../src/admin/admin-token.ts';

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return { ...real, timingSafeEqual: vi.fn(real.timingSafeEqual) };
});

test('whatever is shown is compared in constant time, as a digest that has one length', () => {
  const shows = showsToken('the token');
  const equal = vi.mocked(crypto.timingSafeEqual);
  const shown = ['the token', 'the tokem', 't', 'x'.repeat(10_000), 'the token and more'];
  expect(shown.map((text) => shows(`Bearer ${text}`))).toEqual([true, false, false, false, false]);
  expect(equal.mock.calls.map(([one, other]) => [one.byteLength, other.byteLength])).toEqual(shown.map(() => [32, 32]));
});
