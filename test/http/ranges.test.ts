// Ranges of a blob, whether it rests here or is still arriving: the same answers.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestFor, filled } from '../mirror/start-mirror.ts';
import { Gate } from '../support/gate.ts';
import { generateContent, type ServedContent } from '../support/served-content.ts';
import { type Answer, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
const size = 100_000;
let blob: ServedContent;
let bytes: Buffer;

beforeAll(async () => {
  blob = await generateContent({ size, seed: 1 });
  bytes = Buffer.concat([...blob.read(0, size)]);
});

async function sceneWithBlob(): Promise<Scene> {
  const at = await scene();
  at.upstream.addBlob(name, blob);
  return at;
}

const range = (at: Scene, header: string): Promise<Answer> =>
  at.ask(`/v2/${name}/blobs/${blob.digest}`, { headers: { range: header } });

const partial: readonly (readonly [string, number, number])[] = [
  ['bytes=0-0', 0, 0],
  ['bytes=500-1499', 500, 1499],
  ['bytes=500-', 500, size - 1],
  ['bytes=0-', 0, size - 1],
  ['bytes=-500', size - 500, size - 1],
  [`bytes=-${size * 2}`, 0, size - 1],
  [`bytes=${size - 1}-`, size - 1, size - 1],
  [`bytes=99000-${size}`, 99_000, size - 1],
  ['bytes=99000-99999999999999999999', 99_000, size - 1],
  ['BYTES=5-9', 5, 9],
];
const unsatisfiable = [`bytes=${size}-`, `bytes=${size}-${size + 5}`, 'bytes=99999999999999999999-', 'bytes=-0'];
const whole = ['bytes=0-9,20-29', 'bytes=500-0', 'bytes=-', 'bytes=a-b', 'items=0-5', 'bytes=0x1-5', 'bytes=1-2-3', ''];

function expectPart({ status, headers, body, isComplete }: Answer, start: number, end: number): void {
  expect([status, isComplete]).toEqual([206, true]);
  expect(headers['content-range']).toBe(`bytes ${start}-${end}/${size}`);
  expect(headers['content-length']).toBe(String(end - start + 1));
  expect(body.equals(bytes.subarray(start, end + 1))).toBe(true);
}

function expectUnsatisfiable({ status, headers, body }: Answer): void {
  expect([status, body.length]).toEqual([416, 0]);
  expect(headers).toMatchObject({
    'content-range': `bytes */${size}`,
    'content-length': '0',
    'accept-ranges': 'bytes',
  });
}

function expectWhole({ status, headers, body, isComplete }: Answer): void {
  expect([status, isComplete]).toEqual([200, true]);
  expect(headers['content-range']).toBeUndefined();
  expect(body.equals(bytes)).toBe(true);
}

describe('a stored blob', () => {
  let at: Scene;
  beforeAll(async () => {
    at = await sceneWithBlob();
    await at.ask(`/v2/${name}/blobs/${blob.digest}`);
    await filled(at.registry.mirror, digestFor(blob));
  });
  afterAll(() => at[Symbol.asyncDispose]());

  test.each(partial)('%s is 206', async (header, start, end) => {
    expectPart(await range(at, header), start, end);
  });

  test.each(unsatisfiable)('%s is 416', async (header) => {
    expectUnsatisfiable(await range(at, header));
  });

  test.each(whole)('"%s" is 200 and the whole', async (header) => {
    expectWhole(await range(at, header));
  });

  test('costs the upstream nothing more', () => {
    expect(at.upstream.count()).toBe(1);
  });
});

describe('a blob that arrives', () => {
  test('gives any range from one transfer, and those that lie in what is here before the rest comes', async () => {
    await using at = await sceneWithBlob();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 50_000, gate } });
    const first = range(at, 'bytes=0-');
    await gate.reached;
    for (const header of unsatisfiable) expectUnsatisfiable(await range(at, header));
    expectPart(await range(at, 'bytes=500-1499'), 500, 1499);
    expectPart(await range(at, 'bytes=0-0'), 0, 0);
    const later = partial.map(([header, start, end]) => ({ asked: range(at, header), start, end }));
    const all = whole.map((header) => range(at, header));
    gate.open();
    expectPart(await first, 0, size - 1);
    for (const { asked, start, end } of later) expectPart(await asked, start, end);
    for (const asked of all) expectWhole(await asked);
    expect(at.upstream.count()).toBe(1);
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test.each(partial)('starts with %s and is then here whole', async (header, start, end) => {
    await using at = await sceneWithBlob();
    expectPart(await range(at, header), start, end);
    await filled(at.registry.mirror, digestFor(blob));
    const answer = await at.ask(`/v2/${name}/blobs/${blob.digest}`);
    expect(answer.headers['cache-status']).toBe('stillwater; hit');
    expectWhole(answer);
    // No manifest told its size; what the client skips is nearer than another request would be.
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-8388607']);
  });

  test('is read by many who each take a piece and leave, from one transfer', async () => {
    await using at = await sceneWithBlob();
    const pieces = Array.from({ length: 20 }, (_, index) => index * 5000);
    const answers = pieces.map((start) => range(at, `bytes=${start}-${start + 4999}`));
    for (const [index, start] of pieces.entries()) expectPart((await answers[index]) as Answer, start, start + 4999);
    expect(at.upstream.count()).toBe(1);
  });
});
