// Ctrl-C: what runs is asked to stop, the exit code says so, and a second one ends the process at once.
import { constants } from 'node:os';

/** Swallows what `run` throws once it was interrupted. */
export async function interruptibly(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  const onSignal = (name: 'SIGINT' | 'SIGTERM') => {
    const exitCode = 128 + constants.signals[name];
    if (stopping.signal.aborted) process.exit(exitCode);
    process.exitCode = exitCode;
    stopping.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await run(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
