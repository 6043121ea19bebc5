// An address of this machine that is not loopback: clients take what is on loopback for insecure, and show it no certificate.
import { networkInterfaces } from 'node:os';

export function requireOwnAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const address = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (address !== undefined) return address;
  const reason = 'this machine has no IPv4 address but loopback';
  if (process.env.CI === 'true') throw new Error(`end-to-end tests cannot run here: ${reason}`);
  process.stderr.write(`\n!!! SKIPPED end-to-end tests: ${reason}. CI=true makes this a failure. !!!\n\n`);
  return undefined;
}
