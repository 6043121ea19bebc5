// bcrypt, loaded by who needs it: not every machine has its binary, and most mirrors know no passwords.

type Bcrypt = typeof import('@node-rs/bcrypt');

const hashCost = 10;

/** Throws an Error for people where bcrypt cannot run: worth finding out before somebody shows a password. */
export async function loadBcrypt(): Promise<Bcrypt> {
  try {
    return await import('@node-rs/bcrypt');
  } catch (cause) {
    throw new Error(
      `passwords cannot be checked: @node-rs/bcrypt does not run here (${process.platform} ${process.arch}): ` +
        'install it with npm ci on this very machine, or use tokens instead',
      { cause },
    );
  }
}

/** Off the event loop; `false` for a hash that is none. */
export async function isPasswordOf(hash: string, password: string): Promise<boolean> {
  const { verify } = await loadBcrypt();
  return verify(password, hash);
}

/** A line's worth for a htpasswd file. */
export async function hashPassword(password: string): Promise<string> {
  const { hash } = await loadBcrypt();
  return hash(password, hashCost);
}
