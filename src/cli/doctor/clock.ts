// Our clock beside those of others: tokens and certificates hold for a time, and go by it.
import { type Finding, one } from './finding.ts';

export interface ClockReading {
  readonly of: string;
  readonly aheadMs: number;
}

const toleratedMs = 60_000;

/** The upstreams are many and each is a witness; the mirror is one of ours, and may be wrong by itself. */
export function judgeClocks(upstreams: readonly ClockReading[], mirror: number | undefined): readonly Finding[] {
  const findings = upstreams.length === 0 ? [] : [judgeOurs(upstreams)];
  if (mirror !== undefined && Math.abs(mirror) > toleratedMs)
    findings.push({
      check: 'clock',
      mark: 'fail',
      what: `the clock of the mirror is ${apart(mirror)} of this machine's`,
      remedy: 'set the clock of the one that is wrong, by NTP (timedatectl set-ntp true)',
    });
  if (findings.length > 0) return findings;
  if (mirror !== undefined)
    return one({ check: 'clock', mark: 'ok', what: 'within a minute of the clock of the mirror' });
  return one({ check: 'clock', mark: 'skip', what: 'nobody answered that it could be compared with' });
}

function judgeOurs(readings: readonly ClockReading[]): Finding {
  const sorted = [...readings].sort((one, other) => one.aheadMs - other.aheadMs);
  const median = sorted[Math.floor((sorted.length - 1) / 2)]?.aheadMs ?? 0;
  const who = readings.length === 1 ? readings[0]?.of : `${readings.length} upstreams`;
  if (Math.abs(median) <= toleratedMs)
    return {
      check: 'clock',
      mark: 'ok',
      what: `within a minute of what ${who} ${readings.length === 1 ? 'says' : 'say'}`,
    };
  return {
    check: 'clock',
    mark: 'fail',
    what: `the clock of this machine is ${apart(-median)} of what ${who} ${readings.length === 1 ? 'says' : 'say'}`,
    remedy: 'set it by NTP (timedatectl set-ntp true): tokens and certificates are taken to be over or not yet valid',
  };
}

function apart(aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const told =
    seconds < 120
      ? `${seconds} s`
      : seconds < 7200
        ? `${Math.round(seconds / 60)} min`
        : `${Math.round(seconds / 3600)} h`;
  return `${told} ${aheadMs > 0 ? 'ahead' : 'behind'}`;
}
