// What a server costs: CPU time, memory and descriptors of its processes and of all they started. Linux only.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const ticksPerSecond = 100;

/** utime and stime of every thread, children that run and children that ended included. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.flatMap(family).reduce((sum, member) => {
    const fields = statFields(member);
    const own = Number(fields[11]) + Number(fields[12]);
    const ended = Number(fields[13]) + Number(fields[14]);
    return sum + (own + ended) / ticksPerSecond;
  }, 0);
}

export function rssMebibytes(pids: readonly number[]): number {
  return sumOfStatus(pids, 'VmRSS');
}

export function peakRssMebibytes(pids: readonly number[]): number {
  return sumOfStatus(pids, 'VmHWM');
}

/** From now on the peak is counted anew; a kernel that cannot leaves the old one. */
export function resetPeakRss(pids: readonly number[]): void {
  for (const member of pids.flatMap(family)) {
    try {
      writeFileSync(`/proc/${member}/clear_refs`, '5');
    } catch {
      // An older peak only makes the figure worse.
    }
  }
}

export function openDescriptors(pids: readonly number[]): number {
  return pids.flatMap(family).reduce((sum, member) => sum + readdirSync(`/proc/${member}/fd`).length, 0);
}

/** Seconds of all cores together in which anything ran. */
export function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] =
    textOf('/proc/stat').split('\n')[0]?.split(/ +/).slice(1).map(Number) ?? [];
  return (user + nice + system + irq + softirq) / ticksPerSecond;
}

function family(pid: number): number[] {
  const children = new Set<number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    for (const child of textOf(`/proc/${pid}/task/${thread}/children`).split(' ')) {
      if (child.trim() !== '') children.add(Number(child));
    }
  }
  return [pid, ...[...children].flatMap(family)];
}

function statFields(pid: number): string[] {
  return textOf(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
}

function sumOfStatus(pids: readonly number[], field: string): number {
  const found = new RegExp(`${field}:\\s+(\\d+)`);
  return (
    pids
      .flatMap(family)
      .reduce((sum, member) => sum + Number(found.exec(textOf(`/proc/${member}/status`))?.[1] ?? 0), 0) / 1024
  );
}

/** Empty for a process or thread that ended since it was listed. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
