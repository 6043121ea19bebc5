// A registry's door, without a registry: it takes some passwords.
import type { Ask } from '../../../src/upstream/auth/shown-login.ts';
import { UpstreamError, type UpstreamFailure } from '../../../src/upstream/upstream.ts';
import { upstreamError } from '../upstream-scene.ts';

/** It counts what it is shown. */
export function door(isGood: (password: string) => boolean, refusal: UpstreamFailure = 'login') {
  const seen: string[] = [];
  const ask: Ask<string> = async (shown) => {
    const password = shown && 'password' in shown ? shown.password : 'nothing';
    seen.push(password);
    await Promise.resolve();
    if (!isGood(password)) throw new UpstreamError(refusal, `${refusal}: it was refused`);
    return password;
  };
  return { seen, ask };
}

export async function failures(asking: readonly Promise<unknown>[]): Promise<Set<string>> {
  const errors = await Promise.all(asking.map((one) => upstreamError(one)));
  return new Set(errors.map(({ failure }) => failure));
}
