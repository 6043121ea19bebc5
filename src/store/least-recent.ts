// Finds the least recently used among very many, without sorting them all.

export interface Use {
  readonly id: number;
  /** Milliseconds of the epoch, with a fraction. */
  readonly usedAt: number;
}

export const beforeAll: Use = { id: -1, usedAt: Number.NEGATIVE_INFINITY };

export function byUse(one: Use, other: Use): number {
  return one.usedAt - other.usedAt || one.id - other.id;
}

const sampleSize = 16_384;

/**
 * Those after `after`, in order: at least one if there is any, about twice `count` at most. `times` by id up to `end`;
 * 0 is nobody. One pass over all, whatever order they are in.
 */
export function firstUses(times: Float64Array, end: number, after: Use, count: number): Use[] {
  const ceiling = sampledCeiling(times, end, after, count);
  const found = usesBelow(times, end, after, count, ceiling);
  return found.length > 0 || ceiling === Number.POSITIVE_INFINITY
    ? found
    : usesBelow(times, end, after, count, Number.POSITIVE_INFINITY);
}

/** A time that, if the sample is a fair one, about twice `count` uses are before. */
function sampledCeiling(times: Float64Array, end: number, after: Use, count: number): number {
  const stride = Math.ceil(end / sampleSize);
  if (stride < 2) return Number.POSITIVE_INFINITY;
  const sample = new Float64Array(sampleSize);
  let taken = 0;
  for (let id = 0; id < end; id += stride) {
    const time = times[id] ?? 0;
    if (time !== 0 && time >= after.usedAt) sample[taken++] = time;
  }
  return sample.subarray(0, taken).sort()[Math.ceil((2 * count) / stride)] ?? Number.POSITIVE_INFINITY;
}

function usesBelow(times: Float64Array, end: number, after: Use, count: number, ceiling: number): Use[] {
  let ids: number[] = [];
  let below = ceiling;
  const timeOf = (id: number) => times[id] ?? 0;
  const order = (one: number, other: number) => timeOf(one) - timeOf(other) || one - other;
  for (let id = 0; id < end; id++) {
    const time = timeOf(id);
    // Ids rise: whoever has the time of the last one kept comes after it.
    if (time === 0 || time >= below || time < after.usedAt || (time === after.usedAt && id <= after.id)) continue;
    ids.push(id);
    if (ids.length < 4 * count) continue;
    ids = ids.sort(order).slice(0, count);
    below = timeOf(ids.at(-1) ?? 0);
  }
  return ids.sort(order).map((id) => ({ id, usedAt: timeOf(id) }));
}
