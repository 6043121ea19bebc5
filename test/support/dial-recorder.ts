// Loaded into the product with --import: says on stderr whom it dials and which names it looks up.
import dns from 'node:dns';
import { isIP, Socket } from 'node:net';
import { argv } from 'node:process';

type Named = Record<string, (...args: unknown[]) => unknown>;

// The same variable reaches whatever the product runs.
if (argv[1]?.endsWith('src/main.ts')) {
  watch(Socket.prototype as unknown as Named, 'connect', (args) => {
    const [options] = args.flat() as { host?: string; port?: number; path?: string }[];
    return `dialled ${options?.path ?? `${options?.host}:${options?.port}`}`;
  });
  // A listener looks its own address up as well.
  for (const owner of [dns, dns.promises] as unknown as Named[])
    for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6'])
      watch(owner, name, ([host]) => (isIP(String(host)) === 0 ? `looked up ${host}` : undefined));
}

function watch(owner: Named, name: string, describe: (args: unknown[]) => string | undefined): void {
  const original = owner[name];
  if (original === undefined) throw new Error(`nothing to watch: ${name}`);
  owner[name] = function (this: unknown, ...args) {
    const told = describe(args);
    if (told !== undefined) process.stderr.write(`dial-recorder: ${told}\n`);
    return Reflect.apply(original, this, args);
  };
}
