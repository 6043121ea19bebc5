// Certificates that are over, or soon will be.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { expiryWarning } from '../../src/config/expiry.ts';

const dayMs = 24 * 3600 * 1000;

function certificate(days: number): string {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=ours'];
  const argv = ['req', '-x509', ...kind, '-days', String(days), '-keyout', '/dev/null'];
  return execFileSync('openssl', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

describe('a certificate', () => {
  const cert = certificate(30);
  const end = Date.parse(new X509Certificate(cert).validTo);
  const on = new Date(end).toISOString().replace('.000Z', 'Z');

  test.each([
    [-14 * dayMs, undefined],
    [-14 * dayMs + 1, `a certificate in listen.tls.certFile expires in 13 days, on ${on}; renew it`],
    [-1, `a certificate in listen.tls.certFile expires in 0 days, on ${on}; renew it`],
    [0, `a certificate in listen.tls.certFile has expired on ${on}: clients refuse it; renew it`],
  ])('%s ms from its end', (at, warning) => {
    expect(expiryWarning({ cert }, end + at)).toBe(warning);
  });

  test('is over with the one that vouches for it', () => {
    const chain = `# ours\n${certificate(60)}# above it\n${cert}`;
    expect(expiryWarning({ cert: chain }, end)).toContain(`has expired on ${on}`);
    expect(expiryWarning({ cert: chain }, end - 20 * dayMs)).toBeUndefined();
  });
});
