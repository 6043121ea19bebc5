// What has arrived of an archive, by the names that it has there, its links followed.
import { open } from 'node:fs/promises';
import { ArchiveError } from './archive-error.ts';
import type { Arrived } from './arrivals.ts';

/** As much as a registry would refuse to take for a manifest; what people write by hand is far below. */
export const mostTextBytes = 4 * 1024 * 1024;
const mostLinks = 8;

export class ArchiveFiles {
  readonly #files = new Map<string, Arrived>();
  readonly #links = new Map<string, string>();

  add(file: Arrived): void {
    this.#files.set(file.entry, file);
  }

  addLink(name: string, target: string): void {
    this.#links.set(name, target);
  }

  find(name: string): Arrived | undefined {
    let at = name;
    for (let followed = 0; followed < mostLinks; followed++) {
      const target = this.#links.get(at);
      if (target === undefined) return this.#files.get(at);
      at = target;
    }
    return undefined;
  }
}

/** The first of its bytes, fewer if it is shorter. */
export async function readHead({ path }: Arrived, bytes: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const head = new Uint8Array(bytes);
    return head.subarray(0, (await file.read(head, 0, bytes, 0)).bytesRead);
  } finally {
    await file.close();
  }
}

/** Of what is read whole. */
export async function readText(file: Arrived): Promise<Uint8Array> {
  if (file.sizeBytes > mostTextBytes)
    throw new ArchiveError(`${file.entry} has ${file.sizeBytes} bytes, and may have ${mostTextBytes} at most`);
  return readHead(file, file.sizeBytes);
}

/** Throws `ArchiveError` for what is no JSON. */
export async function readJson(file: Arrived): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await readText(file)));
  } catch (cause) {
    if (cause instanceof ArchiveError) throw cause;
    throw new ArchiveError(`${file.entry} is not JSON`, { cause });
  }
}
