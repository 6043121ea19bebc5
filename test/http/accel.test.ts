// Which requests nginx may answer in our place, and what it is told.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { type Accel, accelHeaders, mayAccelerate } from '../../src/http/accel.ts';
import { digestOf } from '../../src/oci/digest.ts';

const accel: Accel = { prefix: '/blobs/', isTrusted: (peer) => peer === '10.0.0.1' };

interface Asked {
  readonly method?: string;
  readonly peer?: string | undefined;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

function isAccelerated({ method = 'GET', peer = '10.0.0.1', status = 200, headers = {} }: Asked = {}): boolean {
  const all = { 'x-forwarded-for': '192.0.2.7', ...headers };
  return mayAccelerate(
    accel,
    { method, headers: all, socket: { remoteAddress: peer } } as unknown as IncomingMessage,
    status,
  );
}

test('nginx may send what it was asked for, whole or a part that it reads as we do', () => {
  expect(isAccelerated()).toBe(true);
  for (const range of ['bytes=0-', 'bytes=5-9', 'bytes=-5'])
    expect([range, isAccelerated({ status: 206, headers: { range } })]).toEqual([range, true]);
});

test.each<[string, Asked]>([
  ['of a peer that is no proxy of ours', { peer: '192.0.2.7' }],
  ['of a peer that is gone', { peer: '' }],
  ['for a head only', { method: 'HEAD' }],
  ['of nginx for what it could not open', { headers: { 'x-stillwater-accel': 'off' } }],
  ['for a range that it would call unsatisfiable and we ignore', { headers: { range: 'bytes=9-5' } }],
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'].map(
    (condition): [string, Asked] => [`with the condition ${condition}`, { headers: { [condition]: '"x"' } }],
  ),
  ['for several ranges', { headers: { range: 'bytes=0-1,5-6' } }],
  ['for a range of another unit', { headers: { range: 'lines=0-1' } }],
  ['for a range with blanks', { status: 206, headers: { range: 'bytes= 0-1' } }],
  ['for a range with more digits than it counts', { status: 206, headers: { range: `bytes=0-${'9'.repeat(19)}` } }],
])('a request %s is answered by us', (_what, asked) => {
  expect(isAccelerated(asked)).toBe(false);
});

test('a request that no proxy passed on is answered by us, wherever it comes from', () => {
  const direct = { method: 'GET', headers: {}, socket: { remoteAddress: '10.0.0.1' } } as unknown as IncomingMessage;
  expect(mayAccelerate(accel, direct, 200)).toBe(false);
});

test('nobody is accelerated without listen.accel', () => {
  const asked = { method: 'GET', headers: { 'x-forwarded-for': '192.0.2.7' }, socket: { remoteAddress: '10.0.0.1' } };
  expect(mayAccelerate(undefined, asked as unknown as IncomingMessage, 200)).toBe(false);
});

test('nginx is told the path, that no body comes, and nothing that it says itself', () => {
  const digest = digestOf(Buffer.from('a layer'));
  const hex = digest.slice(7);
  const head = { etag: '"x"', 'content-length': '7', 'content-range': 'bytes 0-6/9', 'accept-ranges': 'bytes' };
  expect(accelHeaders(accel, digest, head)).toEqual({
    etag: '"x"',
    'content-length': '0',
    'x-accel-redirect': `/blobs/sha256/${hex.slice(0, 2)}/${hex}`,
  });
});
