// Until when a certificate holds: clients refuse one that is over, and nothing else here would tell.
import { X509Certificate } from 'node:crypto';
import type { KeyPair } from './pem.ts';

const dayMs = 24 * 3600 * 1000;
/** What renews certificates by itself has done so by then. */
const soonMs = 14 * dayMs;

/** One line while the certificate, or one of those that vouch for it in its file, is over or soon will be. */
export function expiryWarning({ cert }: Pick<KeyPair, 'cert'>, now = Date.now()): string | undefined {
  const blocks = cert.split(/(?=-----BEGIN )/).filter((block) => block.startsWith('-----BEGIN CERTIFICATE-----'));
  const ends = blocks.map((block) => new X509Certificate(block).validToDate.getTime());
  const end = Math.min(...ends);
  const on = () => new Date(end).toISOString().replace(/\.\d+Z$/, 'Z');
  if (end <= now) return `a certificate in listen.tls.certFile has expired on ${on()}: clients refuse it; renew it`;
  if (end - now >= soonMs) return undefined;
  return `a certificate in listen.tls.certFile expires in ${Math.floor((end - now) / dayMs)} days, on ${on()}; renew it`;
}
