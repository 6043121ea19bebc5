// Which mirror is looked at, and how it is reached.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseMirrorAddress } from '../../../src/cli/client-configs/mirror-address.ts';
import { targetOf } from '../../../src/cli/doctor/target.ts';
import { directoryWith, load } from '../../config/config-files.ts';

type Named = { readonly mirror?: string; readonly admin?: string };

async function target(config: object, { mirror, admin }: Named = {}) {
  const named = { mirror: mirror && parseMirrorAddress(mirror), admin: admin && new URL(admin) };
  const {
    address,
    registry,
    admin: place,
    isHere,
  } = await targetOf(load(config).config, {
    mirror: named.mirror || undefined,
    admin: named.admin || undefined,
  });
  return { mirror: address.url, admin: place?.url.origin, isHere, registry };
}

describe('a mirror', () => {
  test.each<[object, Named, object]>([
    [{}, {}, { mirror: 'http://127.0.0.1:5000', admin: 'http://127.0.0.1:5001', isHere: true }],
    [
      { listen: { host: '10.0.0.5', port: 80 }, admin: { host: '0.0.0.0', port: 9, token: 'x' } },
      {},
      { mirror: 'http://10.0.0.5', admin: 'http://127.0.0.1:9', isHere: true },
    ],
    [{ admin: null }, {}, { mirror: 'http://127.0.0.1:5000', admin: undefined, isHere: true }],
    [{ admin: { host: '::1' } }, {}, { admin: 'http://[::1]:5001' }],
    // Of one that is elsewhere nothing is known but what is said.
    [{}, { mirror: 'http://far.example' }, { mirror: 'http://far.example', admin: undefined, isHere: false }],
    [
      { listen: { port: 80 } },
      { admin: 'http://far.example:5001' },
      { mirror: 'http://far.example', admin: 'http://far.example:5001', isHere: false },
    ],
    [
      {},
      { admin: 'http://localhost:9' },
      { mirror: 'http://127.0.0.1:5000', admin: 'http://localhost:9', isHere: true },
    ],
    [
      {},
      { mirror: 'http://127.0.0.1:9' },
      { mirror: 'http://127.0.0.1:9', admin: 'http://127.0.0.1:5001', isHere: true },
    ],
  ])('of %j, given %j', async (config, named, expected) => {
    expect(await target(config, named)).toMatchObject(expected);
  });

  test('of this machine is trusted with the certificate that it shows, by any address of loopback', async () => {
    const certFile = join(directoryWith({ 'cert.pem': 'a certificate' }), 'cert.pem');
    const tls = { certFile, keyFile: 'key.pem' };
    const { mirror, registry } = await target({ listen: { tls } });
    expect({ mirror, registry }).toMatchObject({
      mirror: 'https://127.0.0.1:5000',
      registry: { ca: 'a certificate', isNameChecked: false },
    });
    expect((await target({ listen: { tls, host: 'mirror.example' } })).registry).toMatchObject({ isNameChecked: true });
    expect((await target({ listen: { tls } }, { mirror: 'https://far.example' })).registry.ca).toBeUndefined();
  });

  test('whose certificate may not be read here is trusted with the authorities of the system', async () => {
    const tls = { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' };
    expect((await target({ listen: { tls } })).registry.ca).toBeUndefined();
  });
});
