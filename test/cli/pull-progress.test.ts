// A prefetch as people watch it.
import { beforeEach, describe, expect, test } from 'vitest';
import type { PrefetchLine } from '../../src/cli/answers.ts';
import { PullProgress } from '../../src/cli/pull-progress.ts';

type LayerLine = Extract<PrefetchLine, { type: 'layer' }>;

const image = 'docker.io/library/redis:7';
let now = 0;
let progress: PullProgress;

beforeEach(() => {
  now = 0;
  progress = new PullProgress(() => now);
});

function digest(index: number): string {
  return `sha256:${String(index).padStart(12, '0')}${'f'.repeat(52)}`;
}

function layer(index: number, state: LayerLine['state'], fields: Partial<LayerLine> = {}): PrefetchLine {
  return { type: 'layer', image, digest: digest(index), sizeBytes: 10_000_000, receivedBytes: 0, state, ...fields };
}

describe('for those who read lines', () => {
  test('there is one for each change, and none for more bytes', () => {
    const events: PrefetchLine[] = [
      { type: 'image', image, state: 'started' },
      layer(1, 'waiting'),
      layer(1, 'arriving', { receivedBytes: 1 }),
      layer(1, 'arriving', { receivedBytes: 2 }),
      layer(1, 'done', { receivedBytes: 10_000_000 }),
      layer(2, 'present'),
      layer(3, 'failed', { error: 'gone\u001b[2J' }),
      layer(4, 'failed'),
      { type: 'done', images: 1, failed: 1, bytes: 5 },
    ];
    expect(events.map((event) => progress.apply(event))).toEqual([
      `${image}: started`,
      undefined,
      `${image}: 000000000001: arriving, 10.0 MB`,
      undefined,
      `${image}: 000000000001: done`,
      `${image}: 000000000002: already here`,
      `${image}: 000000000003: failed: gone?[2J`,
      `${image}: 000000000004: failed: the mirror does not say why`,
      undefined,
    ]);
  });

  test.each([
    [{ state: 'done', bytes: 2_000_000 }, 'done, 2.00 MB fetched in 3.0 s'],
    [{ state: 'done', bytes: 0 }, 'done, all of it was here'],
    [{ state: 'done' }, 'done, all of it was here'],
    [{ state: 'failed', error: 'no such\nimage' }, 'failed: no such?image'],
    [{ state: 'failed' }, 'failed: the mirror does not say why'],
    [{ state: 'skipped', error: 'few pulls left' }, 'skipped: few pulls left'],
    [{ state: 'skipped' }, 'skipped'],
  ] as const)('an image that ends with %j is %s', (fields, text) => {
    progress.apply({ type: 'image', image, state: 'started' });
    now = 3000;
    expect(progress.apply({ type: 'image', image, ...fields })).toBe(`${image}: ${text}`);
    expect(progress.lines(80)).toEqual([]);
  });
});

describe('on a terminal', () => {
  test('a layer has its bar, its bytes and its rate', () => {
    progress.apply(layer(1, 'arriving', { receivedBytes: 0 }));
    now = 1000;
    progress.apply(layer(1, 'arriving', { receivedBytes: 2_000_000 }));
    now = 1400;
    // Too soon to measure again.
    progress.apply(layer(1, 'arriving', { receivedBytes: 4_000_000 }));
    now = 2000;
    progress.apply(layer(1, 'arriving', { receivedBytes: 6_000_000 }));
    for (const state of ['waiting', 'done', 'present'] as const) progress.apply(layer(state.length, state));
    progress.apply(layer(9, 'failed', { error: 'gone' }));
    expect(progress.lines(100)).toEqual([
      image,
      '  000000000001  [=================>            ]  6.00 MB / 10.0 MB  3.00 MB/s',
      '  000000000007  already here  10.0 MB',
      '  000000000004  done          10.0 MB',
      '  000000000009  failed: gone',
    ]);
  });

  test('a bar takes what room there is, and none where there is too little', () => {
    progress.apply(layer(1, 'arriving', { receivedBytes: 5_000_000 }));
    expect(progress.lines(60)[1]).toMatch(/^ {2}000000000001 {2}\[=*> *\] {2}5\.00 MB/);
    expect(progress.lines(60)[1]?.length).toBeLessThan(60);
    expect(progress.lines(40)[1]).toBe('  000000000001  5.00 MB / 10.0 MB  0 B/s');
  });

  test('a rate begins anew with the arriving', () => {
    progress.apply(layer(1, 'waiting'));
    now = 5000;
    progress.apply(layer(1, 'arriving', { receivedBytes: 9_000_000 }));
    expect(progress.lines(40)[1]).toContain('0 B/s');
  });

  test('what moves is shown before what does not, and the rest is counted', () => {
    for (let index = 0; index < 20; index++) progress.apply(layer(index, index < 10 ? 'done' : 'waiting'));
    progress.apply(layer(19, 'arriving', { receivedBytes: 1 }));
    const lines = progress.lines(100);
    expect(lines).toHaveLength(16);
    expect(lines[0]).toBe(image);
    expect(lines[1]).toContain('000000000019');
    expect(lines.filter((line) => line.includes('waiting'))).toHaveLength(9);
    expect(lines.at(-1)).toBe('… and 6 more');
  });

  test('many images stay within the screen too', () => {
    for (let index = 0; index < 20; index++)
      progress.apply({ ...(layer(1, 'arriving') as LayerLine), image: `docker.io/library/image${index}:1` });
    const lines = progress.lines(100);
    expect(lines).toHaveLength(15);
    expect(lines.at(-1)).toBe('… and 26 more');
  });
});
