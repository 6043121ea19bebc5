// What a check found, and all checks run side by side, each for as long as it may take.

export interface Finding {
  /** What was looked at, in a few words. */
  readonly check: string;
  /** `skip`: there was nothing to look at, which is no fault. */
  readonly mark: 'ok' | 'warn' | 'fail' | 'skip';
  readonly what: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface Check {
  readonly name: string;
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

export interface RunOptions {
  readonly timeoutMs: number;
  /** Hears the findings in the order of the checks, as soon as they are there. */
  readonly onFinding: (finding: Finding) => void;
}

/** For a check to say what it found until its signal fired. */
const graceMs = 1000;

/** Never rejects for what a check does. */
export async function runChecks(checks: readonly Check[], { timeoutMs, onFinding }: RunOptions): Promise<void> {
  const running = checks.map((check) => bounded(check, timeoutMs));
  for (const findings of running) for (const finding of await findings) onFinding(finding);
}

async function bounded({ name, run }: Check, timeoutMs: number): Promise<readonly Finding[]> {
  const late = Promise.withResolvers<never>();
  const giveUp = () => late.reject(new Error(`it took longer than ${timeoutMs / 1000} s`));
  const timer = setTimeout(giveUp, timeoutMs + graceMs);
  try {
    return await Promise.race([run(AbortSignal.timeout(timeoutMs)), late.promise]);
  } catch (error) {
    return one({ check: name, mark: 'fail', what: `could not be looked at: ${(error as Error).message}` });
  } finally {
    clearTimeout(timer);
  }
}

/** Ends what fails where it does: a list of one. */
export function one(finding: Finding): readonly Finding[] {
  return [finding];
}
