// What others say is one short printable line in what we say.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foreignText } from '../../src/upstream/foreign-text.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import type { FaultEffect } from '../support/faults.ts';
import { never, openClient } from './upstream-scene.ts';

test('whatever it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat({ max: 50 }), (text, length) => {
      expect(foreignText(text, length)).toMatch(/^[\x20-\x7e]*$/);
      expect(foreignText(text, length).length).toBeLessThanOrEqual(length);
    }),
  );
  expect(foreignText(' text/html\r\n; charset=é ')).toBe('text/html ; charset=');
});

const long = 'x'.repeat(20_000);

test.each<[string, FaultEffect]>([
  ['Content-Type', { contentType: `text/${long}` }],
  ['Content-Encoding', { headers: { 'content-encoding': long } }],
  ['Content-Range', { status: 206, headers: { 'content-range': `bytes 0-4/${long}` } }],
  ['Location', { redirect: `http://${long}/` }],
])('a long %s does not make a long error', async (_, effect) => {
  await using upstream = await startFakeUpstream();
  const { layers } = upstream.addImage('library/app', { layers: ['0123456789'] });
  await using at = openClient({ endpoint: upstream.url });
  upstream.faults.add({}, effect);
  const asking = [
    at.client.fetchManifest('library/app', { tag: 'latest' }, never),
    at.client.fetchBlob('library/app', layers[0]?.digest as never, never, { start: 0, end: 5 }),
  ].map((one) =>
    one.then(
      () => '',
      ({ message }: Error) => message,
    ),
  );
  const messages = await Promise.all(asking);
  expect(messages.filter(Boolean)).not.toEqual([]);
  for (const message of messages) expect(message.length).toBeLessThan(400);
});
