// Loaded before the program: its wall clock runs so fast that a minute is a second, and so do waits of more than ten seconds.
const speed = 60;
const longMs = 500;
const began = Date.now();
const RealDate = Date;
const now = () => began + (RealDate.now() - began) * speed;

class FastDate extends RealDate {
  constructor(...given: readonly unknown[]) {
    if (given.length === 0) super(now());
    else super(...(given as [number]));
  }
  static override now(): number {
    return now();
  }
}

const wait = globalThis.setTimeout;
globalThis.Date = FastDate as DateConstructor;
// A wait for a time of day is made by who schedules; all others stay as long as they are.
globalThis.setTimeout = ((callback: () => void, ms = 0, ...rest: unknown[]) => {
  const isOfSchedule = ms > longMs && /[\\/]croner[\\/]/.test(new Error().stack ?? '');
  return wait(callback, isOfSchedule ? ms / speed : ms, ...(rest as []));
}) as typeof setTimeout;
