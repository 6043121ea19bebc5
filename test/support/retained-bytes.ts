// The bytes of buffers that something still holds, once all garbage is collected.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export function retainedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What the first leaves to be finished in the background is gone after the second.
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}
