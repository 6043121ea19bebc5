// What is asked for a document, and that nothing of an answer is kept open.
import { expect, test } from 'vitest';
import { fetchJson } from '../../src/access/fetch-json.ts';

const signal = AbortSignal.timeout(10_000);

test.each([
  ['is not wanted', 500],
  ['is too large', 200],
])('a body that %s is let go of', async (_what, status) => {
  const ends: string[] = [];
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    cancel: () => {
      ends.push('cancelled');
    },
  });
  const fetch = async () => new Response(body, { status });
  await expect(fetchJson('https://issuer.example/keys', { fetch, signal })).rejects.toThrow(
    /issuer\.example\/keys answered/,
  );
  expect(ends).toEqual(['cancelled']);
});

test('a document may come in pieces, which cut its letters', async () => {
  const bytes = new TextEncoder().encode('{"name":"ä€😀"}');
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const fetch = async () => new Response(body);
  expect(await fetchJson('https://issuer.example/keys', { fetch, signal })).toEqual({ name: 'ä€😀' });
});

test('an answer without a body is no document', async () => {
  const fetch = async () => new Response(null);
  await expect(fetchJson('https://issuer.example/', { fetch, signal })).rejects.toThrow('something that is not JSON');
});
