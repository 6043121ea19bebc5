// Passwords with a clock and comparisons of ours, for the tests.
import { Lockout } from '../../src/access/lockout.ts';
import { type Attempt, Passwords, type PasswordsOptions } from '../../src/access/passwords.ts';

export const bob: Attempt = { user: 'bob', password: 'right', address: '192.0.2.1' };
export const wrong = (password = 'wrong', address = bob.address): Attempt => ({ user: 'bob', password, address });

/** Users whose hash is their password behind an `=`; each comparison is counted, and waits while the gate is shut. */
export function scene(options: Partial<PasswordsOptions> = {}) {
  const clock = { ms: 0 };
  const compared: string[] = [];
  const running = { now: 0, most: 0 };
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const lockout = new Lockout({ now: () => clock.ms });
  const passwords = new Passwords({
    lockout,
    now: () => clock.ms,
    compare: async (hash, password) => {
      compared.push(`${hash} ${password}`);
      running.most = Math.max(running.most, ++running.now);
      await gate.promise;
      running.now--;
      return hash === `=${password}`;
    },
    ...options,
  });
  passwords.use(new Map([['bob', '=right']]));
  const shut = () => {
    gate = Promise.withResolvers<void>();
  };
  return { clock, compared, running, lockout, passwords, shut, open: () => gate.resolve() };
}
