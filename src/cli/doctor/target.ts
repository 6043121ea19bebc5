// Which mirror is looked at: the one of the configuration as this machine reaches it, or the one that flags name.
import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/schema.ts';
import { type MirrorAddress, mirrorOf, parseMirrorAddress } from '../client-configs/mirror-address.ts';
import type { Place } from './ask.ts';

export interface Target {
  readonly address: MirrorAddress;
  readonly registry: Place;
  /** `undefined`: it is turned off. */
  readonly admin: Place | undefined;
  /** It is this machine's, so that its disk and its clock are too. */
  readonly isHere: boolean;
}

const loopback = '127.0.0.1';

export async function targetOf(
  config: Config,
  { mirror, admin }: { readonly mirror?: MirrorAddress | undefined; readonly admin?: URL | undefined },
): Promise<Target> {
  const adminUrl = admin ?? adminOf(config);
  const isAdminHere = admin === undefined || isThisMachine(admin.hostname);
  const isHere = mirror === undefined ? isAdminHere : mirror.isLoopback;
  const address = mirror ?? (isHere ? mirrorOf(config, loopback) : besideAdmin(config, admin));
  const registry = { url: new URL(address.url), ...(isHere && (await ownCertificate(config, address))) };
  // Somebody else's mirror has an admin listener that only its own flags can name.
  const isAdminKnown = adminUrl && (admin !== undefined || isHere);
  return { address, registry, admin: isAdminKnown ? { url: adminUrl } : undefined, isHere };
}

function adminOf({ admin }: Config): URL | undefined {
  if (!admin) return undefined;
  const host = ['0.0.0.0', '::'].includes(admin.host) ? loopback : admin.host;
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${admin.port}`);
}

/** Where the admin listener is, the mirror is too. */
function besideAdmin({ listen }: Config, admin: URL | undefined): MirrorAddress {
  return parseMirrorAddress(`${listen.tls ? 'https' : 'http'}://${admin?.hostname}:${listen.port}`);
}

/** What this machine's own mirror shows is known from its file, and an address of loopback is in no certificate. */
async function ownCertificate({ listen: { tls } }: Config, { isLoopback }: MirrorAddress): Promise<Partial<Place>> {
  const ca = tls && (await readFile(tls.certFile, 'utf8').catch(() => undefined));
  return { ca, isNameChecked: !isLoopback };
}

function isThisMachine(hostname: string): boolean {
  return /^(localhost|127\..*|\[::1\])$/.test(hostname);
}
