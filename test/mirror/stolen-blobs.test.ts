// A digest is no key, nor is a registry of one's own that says it has it: bytes go only to whom they came for.
import { describe, expect, test, vi } from 'vitest';
import { type WantedRange, wantedRange } from '../../src/oci/byte-range.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { digestFor, filled, patient, readAll } from './start-mirror.ts';
import { forged, guarded, isFrom, secret, size, type Theft, taken, theft } from './theft-scene.ts';

const ways: [string, WantedRange][] = [
  ['whole', wantedRange(undefined)],
  ['by its first byte', { start: 0, end: 1 }],
  ['by a range in its middle', { start: 1000, end: 200_000 }],
  ['by its tail', { start: size - 1000, end: undefined }],
];

/** What a client of the evil registry is sent under the blob's name. */
async function stolen(at: Theft, blob: ServedContent, wanted: WantedRange = wantedRange(undefined)): Promise<string> {
  const answer = await at.open(at.thief, blob, wanted);
  return answer ? await taken(answer.content, { start: wanted.start, end: wanted.end ?? blob.size }) : '';
}

describe.each(guarded)('where %s, a stored blob', (_where, options) => {
  test.each(ways)('is not to be had %s from a registry that says it has it', async (_way, wanted) => {
    await using at = await theft(options);
    await at.pull();
    at.claim(at.layer);
    for (let times = 0; times < 2; times++) expect(await stolen(at, at.layer, wanted)).toMatch(/^x+$/);
  });

  test('is not to be had by a manifest that names it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.name(at.layer);
    await at.mirror.mirror.getManifest(at.thief, { tag: 'latest' }, patient);
    expect(at.mirror.records.link(at.thief.repository, digestFor(at.layer))).toBeDefined();
    expect(await at.open(at.thief, at.layer)).toBeUndefined();
    expect(await at.mirror.mirror.statBlob(at.thief, digestFor(at.layer), patient)).toBeUndefined();
    at.claim(at.layer);
    expect(await stolen(at, at.layer)).toMatch(/^x+$/);
  });

  test('is not to be had as the configuration of an image', async () => {
    await using at = await theft(options);
    await at.pull();
    at.claim(at.image.config);
    expect(await stolen(at, at.image.config)).toMatch(/^x+$/);
  });

  test('is told to HEAD as its own upstream tells, which opens nothing', async () => {
    await using at = await theft(options);
    await at.pull();
    const stat = () => at.mirror.mirror.statBlob(at.thief, digestFor(at.layer), patient);
    expect(await stat()).toBeUndefined();
    at.claim(at.layer);
    expect(await stat()).toEqual({ size, outcome: 'miss' });
    expect(await stat()).toEqual({ size, outcome: 'miss' });
    expect(isFrom(at, at.thief, digestFor(at.layer))).toBe(false);
    expect(await stolen(at, at.layer)).toMatch(/^x+$/);
  });

  test('rests as it was, and is a hit for its own registry, whatever another one sends under its name', async () => {
    await using at = await theft(options);
    await at.pull();
    at.claim(at.layer);
    await stolen(at, at.layer);
    await at.mirror.fills.drained();
    await at.home.close();
    const answer = await at.open(at.victim, at.layer);
    expect(answer?.outcome).toBe('hit');
    expect(answer && (await readAll(answer.content)).toString()).toBe(secret.repeat(size / secret.length));
  });

  test('rests as it was when the index does not take that another registry sent it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.evil.addBlob('evil/app', at.layer);
    const refused = vi.spyOn(at.mirror.records, 'putBlob').mockImplementation(() => {
      throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
    });
    const sent = await at.open(at.thief, at.layer);
    await at.mirror.fills.drained();
    await sent?.content.close();
    expect(refused).toHaveBeenCalled();
    await at.home.close();
    const answer = await at.open(at.victim, at.layer);
    expect(answer && (await readAll(answer.content)).length).toBe(size);
  });

  test('is a hit for another registry once that has sent all of it', async () => {
    await using at = await theft(options);
    await at.pull();
    at.evil.addBlob('evil/app', at.layer);
    const fetched = await at.open(at.thief, at.layer);
    expect(fetched?.outcome).toBe('miss');
    expect(fetched && (await taken(fetched.content))).toContain(secret);
    await filled(at.mirror, digestFor(at.layer));
    expect(at.evil.bytesSent('blob')).toBe(size);
    expect(at.mirror.records.totals.blobs).toBe(3);
    for (const upstream of [at.home, at.evil]) await upstream.close();
    for (const source of [at.thief, at.victim]) {
      const answer = await at.open(source, at.layer);
      expect(answer?.outcome).toBe('hit');
      await answer?.content.close();
    }
  });

  test('that is a manifest is none of another registry, and stays a manifest when that sends it as a blob', async () => {
    await using at = await theft(options);
    await at.pull();
    const { content } = at.image.manifest;
    at.evil.addBlob('evil/app', content);
    const answer = await at.open(at.thief, content);
    expect(answer && (await readAll(answer.content)).length).toBe(content.size);
    await at.mirror.fills.drained();
    expect(at.evil.count({ kind: 'blob' })).toBe(1);
    await at.home.close();
    const manifest = await at.mirror.mirror.getManifest(at.victim, { digest: digestFor(at.image) }, patient);
    expect(manifest?.outcome).toBe('hit');
  });
});

describe.each(guarded)('where %s, a blob that is arriving', (_where, options) => {
  async function holding(at: Theft) {
    const gate = new Gate();
    at.home.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 100_000, gate } });
    const answer = await at.open(at.victim, at.layer);
    const spool = await at.mirror.fills.find(digestFor(at.layer))?.opened;
    await vi.waitUntil(() => spool?.prefix === 100_000);
    return { gate, answer };
  }

  test.each([true, false])('is not read by way of another registry (read by its own: %s)', async (isRead) => {
    await using at = await theft(options);
    const { gate, answer } = await holding(at);
    if (!isRead) await answer?.content.close();
    at.claim(at.layer);
    expect(await stolen(at, at.layer)).toMatch(/^x+$/);
    gate.open();
    await answer?.content.close();
  });

  test('leaves nothing that another registry goes on with', async () => {
    await using at = await theft(options);
    const { gate, answer } = await holding(at);
    await answer?.content.close();
    const fill = at.mirror.fills.find(digestFor(at.layer));
    fill?.yield();
    await fill?.ended;
    gate.open();
    at.claim(at.layer);
    expect(await stolen(at, at.layer)).toMatch(/^x+$/);
    expect(at.evil.server.bytesSent({ kind: 'blob' })).toBeGreaterThanOrEqual(size);
  });

  test('is gone on with by its own registry', async () => {
    await using at = await theft(options);
    const { gate, answer } = await holding(at);
    await answer?.content.close();
    const fill = at.mirror.fills.find(digestFor(at.layer));
    fill?.yield();
    await fill?.ended;
    gate.open();
    at.home.server.forget();
    const rest = await at.open(at.victim, at.layer);
    expect(rest && (await readAll(rest.content)).length).toBe(size);
    expect(at.home.server.find({ kind: 'blob' })[0]?.headers.range).toBe(`bytes=100000-${size - 1}`);
  });
});

describe.each(guarded)('where %s, past a disk that takes nothing', (_where, options) => {
  async function full(at: Theft): Promise<void> {
    await at.pull();
    at.mirror.disk.report(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  }

  test('a blob comes from its own upstream, and is its own once all of it has come', async () => {
    await using at = await theft(options);
    await full(at);
    at.evil.addBlob('evil/app', at.layer);
    const head = await at.open(at.thief, at.layer, { start: 0, end: 1 });
    expect(head && (await taken(head.content, { end: 1 }))).toBe(secret[0]);
    expect(isFrom(at, at.thief, digestFor(at.layer))).toBe(false);
    expect(at.mirror.records.link(at.thief.repository, digestFor(at.layer))).toBeUndefined();
    expect(await stolen(at, at.layer)).toContain(secret);
    expect(isFrom(at, at.thief, digestFor(at.layer))).toBe(true);
    await at.evil.close();
    const again = await at.open(at.thief, at.layer);
    expect(again?.outcome).toBe('hit');
    await again?.content.close();
  });

  test('a blob that is not what it is called is nobody’s', async () => {
    await using at = await theft(options);
    await full(at);
    at.claim(at.layer);
    for (let times = 0; times < 2; times++) expect(await stolen(at, at.layer)).toMatch(/^x+$/);
    expect(isFrom(at, at.thief, digestFor(at.layer))).toBe(false);
  });
});

describe('the other layers of an image', () => {
  test.each(guarded)('come from its own upstream too, where %s', async (_where, options) => {
    await using at = await theft({ ...options, siblings: true });
    await at.pull();
    const own = at.evil.addBlob('evil/app', contentOf('its own'));
    at.claim(at.layer);
    at.name(own, at.layer);
    await at.mirror.mirror.getManifest(at.thief, { tag: 'latest' }, patient);
    expect(await stolen(at, own)).toBe('its own');
    await at.mirror.fills.drained();
    expect(at.evil.count({ kind: 'blob', path: at.layer.digest })).toBeGreaterThan(0);
    expect(await stolen(at, at.layer)).toMatch(/^x+$/);
  });
});

describe('where all may pull what is public', () => {
  const open = { mayShare: true, isPrivate: false };

  test('one byte of another registry is enough', async () => {
    await using at = await theft(open);
    await at.pull();
    at.evil.addBlob('evil/app', forged(at.layer));
    const answer = await at.open(at.thief, at.layer);
    expect(answer?.outcome).toBe('hit');
    await answer?.content.close();
    expect(at.evil.bytesSent('blob')).toBe(1);
  });

  test('that byte is forgotten where rules come to say who may pull', async () => {
    await using at = await theft(open);
    await at.pull();
    at.claim(at.layer);
    await (await at.open(at.thief, at.layer))?.content.close();
    expect(isFrom(at, at.thief, digestFor(at.layer))).toBe(false);
  });
});
