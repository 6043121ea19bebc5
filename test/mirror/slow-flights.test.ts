// Work that takes too long or breaks half-way: it ends by itself, and leaves its key, its file and its place free.
import { describe, expect, test, vi } from 'vitest';
import { SingleFlight } from '../../src/mirror/single-flight.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { openFiles } from '../support/open-files.ts';
import { until } from '../support/until.ts';
import { aborted, digestFor, filled, patient, readAll, spoolFiles, startMirror } from './start-mirror.ts';

const name = 'library/app';

describe('a flight', () => {
  test('hears its signal when its time is over, and leaves its key free', async () => {
    const flights = new SingleFlight<string>(20);
    const dripping = async (bound: AbortSignal): Promise<string> => {
      await aborted(bound);
      throw bound.reason;
    };
    const asked = [1, 2].map(() => flights.do('key', patient, dripping));
    for (const result of await Promise.allSettled(asked))
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'TimeoutError' } });
    expect(await flights.do('key', patient, async () => 'again')).toEqual({ value: 'again', joined: false });
  });

  test('has a time of its own, whenever the one before it began', async () => {
    const flights = new SingleFlight<AbortSignal>(20);
    const { value: first } = await flights.do('key', patient, async (bound) => bound);
    await aborted(first);
    const { value: second } = await flights.do('key', patient, async (bound) => {
      expect(bound.aborted).toBe(false);
      return bound;
    });
    expect(second).not.toBe(first);
  });

  test('is not ended by the caller that started it and leaves', async () => {
    const flights = new SingleFlight<string>(60_000);
    const end = Promise.withResolvers<string>();
    const bounds: AbortSignal[] = [];
    const work = (bound: AbortSignal) => {
      bounds.push(bound);
      return end.promise;
    };
    const leaving = new AbortController();
    const first = flights.do('key', leaving.signal, work);
    const second = flights.do('key', patient, work);
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect(bounds.map((bound) => bound.aborted)).toEqual([false]);
    end.resolve('done');
    expect(await second).toEqual({ value: 'done', joined: true });
  });
});

test('a fill whose link cannot be written leaves no spool, tells its client why, and the next one fills', async () => {
  await using upstream = await startFakeUpstream();
  await using at = await startMirror({ upstreams: { 'docker.io': upstream }, maxFills: 1 });
  const blob = await upstream.addGeneratedBlob(name, { size: 200_000, seed: 1 });
  const digest = digestFor(blob);
  const full = new Error('database or disk is full');
  const writing = vi.spyOn(at.records, 'addLinks').mockImplementationOnce(() => {
    throw full;
  });
  await expect(at.mirror.openBlob(at.source(name), digest, patient)).rejects.toBe(full);
  await filled(at, digest);
  await until('no open spool', () => openFiles(at.dir).length === 0);
  expect(await spoolFiles(at)).toEqual([]);
  expect(at.records.blob(digest)).toBeUndefined();
  writing.mockRestore();
  const answer = await at.mirror.openBlob(at.source(name), digest, patient);
  if (!answer) throw new Error('the blob is not there');
  expect((await readAll(answer.content)).equals(Buffer.concat([...blob.read(0, blob.size)]))).toBe(true);
});
