// What a process holds of the machine, as the kernel tells: descriptors by kind, and memory. Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from './until.ts';

export type Descriptors = {
  readonly sockets: number;
  /** Blobs and spools of a cache, each as often as it is open; one that is deleted says so. */
  readonly files: readonly string[];
  readonly others: number;
};

export function descriptorsOf(pid: number): Descriptors {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed since it was listed
    }
  });
  const sockets = links.filter((link) => link.startsWith('socket:')).length;
  const files = links.filter((link) => /\/(blobs|spools)\/./.test(link)).sort();
  return { sockets, files, others: links.length - sockets - files.length };
}

/** Since the process began, or at this moment. */
export function memoryMebibytes(pid: number, which: 'peak' | 'now'): number {
  const field = which === 'peak' ? 'VmHWM' : 'VmRSS';
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/**
 * Settles once the process holds no socket and nothing else more than before, no spool, nothing that is deleted, and no
 * blob twice. A stored blob may stay open for a while for whoever asks next.
 */
export async function released(pid: number, before: Descriptors, { timeoutMs = 20_000 } = {}): Promise<void> {
  let now = before;
  const isReleased = () => {
    now = descriptorsOf(pid);
    const { sockets, files, others } = now;
    const isTidy = new Set(files).size === files.length && !files.some((file) => /\/spools\/|\(deleted\)/.test(file));
    return isTidy && sockets <= before.sockets && others <= before.others;
  };
  await until('what clients used is released', isReleased, { timeoutMs }).catch((cause) => {
    throw new Error(`before: ${JSON.stringify(before)}, now: ${JSON.stringify(now)}`, { cause });
  });
}
