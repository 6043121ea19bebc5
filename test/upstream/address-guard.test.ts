// Where an upstream may lead us, by address and by name.
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressGuard, type AddressGuardOptions } from '../../src/upstream/address-guard.ts';
import { UpstreamError } from '../../src/upstream/upstream.ts';
import { Gate } from '../support/gate.ts';

type Names = Readonly<Record<string, readonly string[]>>;

class Scene {
  readonly guard: AddressGuard;
  readonly asked: string[] = [];
  readonly origins: string[] = [];

  constructor(endpoint: string, options: Partial<AddressGuardOptions> = {}, names: Names = {}, gate?: Gate) {
    this.guard = new AddressGuard(
      { name: 'registry.test', endpoint: new URL(endpoint), allowPrivate: undefined, ...options },
      async (hostname, origin) => {
        this.asked.push(hostname);
        this.origins.push(origin);
        await gate?.pass();
        const addresses = names[hostname];
        if (!addresses) throw Object.assign(new Error(`no ${hostname}`), { code: 'ENOTFOUND' });
        return addresses.map((address) => ({ address, family: isIP(address) }));
      },
    );
  }

  check(url: string): string {
    try {
      this.guard.check(new URL(url));
      return 'may be dialled';
    } catch (error) {
      if (error instanceof UpstreamError && error.failure === 'protocol') return error.message;
      throw error;
    }
  }

  /** What is dialled for a name, as `net.connect` asks for it. */
  dialled(hostname: string, all = true): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.guard.lookup(hostname, { all }, (error, found) => (error ? reject(error) : resolve(found)));
    });
  }
}

const publicEndpoint = 'https://registry.example';
const refusedAddress = expect.stringContaining('leads where we must not follow');

describe('an upstream on a public address', () => {
  test.each([
    'http://10.0.0.1/x',
    'http://127.0.0.1:9000/x',
    'https://[::1]/x',
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/x',
    'http://[::ffff:127.0.0.1]/x',
    'http://[64:ff9b::10.0.0.1]/x',
    'http://2130706433/x',
    'http://0x7f.1/x',
    'http://0177.0.0.1/x',
    'http://127.1/x',
    'http://0/x',
    'http://localhost:5000/x',
    'http://LOCALHOST./x',
    'http://a.localhost/x',
  ])('may not lead to %s', (url) => {
    expect(new Scene(publicEndpoint).check(url)).toEqual(refusedAddress);
  });

  test.each([
    'https://1.1.1.1/x',
    'https://[2606:4700::1111]/x',
    'https://cdn.example/x',
    'https://registry.example/x',
  ])('may lead to %s', (url) => {
    expect(new Scene(publicEndpoint).check(url)).toBe('may be dialled');
  });

  test('may lead to a name on public addresses, and these are dialled', async () => {
    const scene = new Scene(publicEndpoint, {}, { 'cdn.example': ['2606:4700::1111', '1.1.1.1'] });
    expect(await scene.dialled('cdn.example')).toEqual([
      { address: '2606:4700::1111', family: 6 },
      { address: '1.1.1.1', family: 4 },
    ]);
    expect(await scene.dialled('cdn.example', false)).toBe('2606:4700::1111');
  });

  test.each([
    [['10.0.0.1']],
    [['169.254.169.254']],
    [['::1']],
    [['1.1.1.1', '10.0.0.1']],
    [['2606:4700::1111', '::ffff:192.168.0.1']],
  ])('may not lead to a name on %j', async (addresses) => {
    const scene = new Scene(publicEndpoint, {}, { 'cdn.example': addresses, 'registry.example': ['1.1.1.1'] });
    await scene.dialled('registry.example');
    await expect(scene.dialled('cdn.example')).rejects.toThrow('leads where we must not follow');
    await expect(scene.dialled('cdn.example', false)).rejects.toThrow('leads where we must not follow');
  });

  test('says what failed, where, why and what to set', () => {
    expect(new Scene(publicEndpoint).check('http://10.0.0.1:8080/x')).toBe(
      'upstream registry.test leads where we must not follow: 10.0.0.1: its address is private; ' +
        'set upstreams.registry.test.allowPrivate to true if that is meant',
    );
  });

  test('judges every answer anew: a name that moves is refused when it has moved', async () => {
    const names: Record<string, string[]> = { 'cdn.example': ['1.1.1.1'] };
    const scene = new Scene(publicEndpoint, {}, names);
    expect(await scene.dialled('cdn.example')).toHaveLength(1);
    names['cdn.example'] = ['127.0.0.1'];
    await expect(scene.dialled('cdn.example')).rejects.toThrow('its address is loopback');
  });
});

describe('the host of an endpoint', () => {
  test.each(['10.0.0.1', '127.0.0.1', '169.254.1.1', '[::1]', '[fe80::1]'])('may be %s', (host) => {
    for (const allowPrivate of [undefined, false, true])
      expect(new Scene(`http://${host}:5000`, { allowPrivate }).check(`http://${host}:9000/x`)).toBe('may be dialled');
  });

  test.each([[['10.0.0.1', '1.1.1.1']], [['127.0.0.1']], [['fd12::1']]])(
    'may be a name on %j, however it is written',
    async (addresses) => {
      for (const host of ['registry.example', 'Registry.Example.']) {
        const scene = new Scene(publicEndpoint, { allowPrivate: false }, { [host]: addresses });
        expect(await scene.dialled(host)).toHaveLength(addresses.length);
        expect(await scene.dialled(host)).toHaveLength(addresses.length);
      }
    },
  );

  test.each([
    [['169.254.169.254'], 'reserved'],
    [['1.1.1.1', '169.254.1.1'], 'reserved'],
    [['fd00:ec2::254', '10.0.0.1'], 'reserved'],
  ])('is not led to %j by its DNS, unless all may be', async (addresses, kind) => {
    const names = { 'registry.example': addresses };
    for (const allowPrivate of [undefined, false]) {
      const scene = new Scene(publicEndpoint, { allowPrivate }, names);
      await expect(scene.dialled('registry.example')).rejects.toThrow(`registry.example: its address is ${kind}`);
    }
    expect(await new Scene(publicEndpoint, { allowPrivate: true }, names).dialled('registry.example')).toEqual(
      addresses.map((address) => ({ address, family: isIP(address) })),
    );
  });

  // Whoever runs the DNS of a public registry could have us look into our own network.
  test.each([
    ['public', '1.1.1.1', ['10.0.0.1', '127.0.0.1']],
    ['private', '10.0.0.1', ['127.0.0.1']],
  ])('that was %s comes no nearer later, unless it may', async (_, first, later) => {
    const names: Record<string, string[]> = {};
    const [scene, open] = [
      new Scene(publicEndpoint, {}, names),
      new Scene(publicEndpoint, { allowPrivate: true }, names),
    ];
    for (const address of [first, ...later]) {
      names['registry.example'] = [address];
      const dialled = scene.dialled('registry.example');
      if (address === first) await dialled;
      else await expect(dialled).rejects.toThrow('leads where we must not follow: registry.example');
      expect(scene.check(`http://${later[0]}/x`)).toEqual(refusedAddress);
      expect(await open.dialled('registry.example')).toHaveLength(1);
    }
    names['registry.example'] = [first];
    expect(await scene.dialled('registry.example')).toHaveLength(1);
  });
});

describe('an upstream on a private address', () => {
  test.each([
    ['http://10.0.0.1:5000', false],
    ['http://[fd12::1]', false],
    ['http://127.0.0.1:5000', true],
    ['http://localhost:5000', true],
  ])(
    'may lead to other private addresses, but neither to reserved ones nor nearer than it is: %s',
    (endpoint, isLocal) => {
      const scene = new Scene(endpoint);
      expect(scene.check('http://192.168.1.1:9000/x')).toBe('may be dialled');
      expect(scene.check('http://169.254.169.254/x')).toEqual(refusedAddress);
      expect(scene.check('http://0.0.0.0/x')).toEqual(refusedAddress);
      // What listens there trusts who asks: our own admin listener does.
      for (const host of ['127.0.0.1', '127.1.2.3', '[::1]', '[::ffff:127.0.0.1]', 'localhost', 'a.localhost'])
        expect(scene.check(`http://${host}:5001/x`)).toEqual(isLocal ? 'may be dialled' : refusedAddress);
    },
  );

  test('may lead to a private name, but to none on loopback', async () => {
    const names = { 'minio.example': ['10.0.0.2'], 'near.example': ['10.0.0.2', '::1'] };
    const scene = new Scene('http://10.0.0.1:5000', {}, names);
    expect(await scene.dialled('minio.example')).toHaveLength(1);
    await expect(scene.dialled('near.example')).rejects.toThrow('its address is loopback');
  });

  test('is one by what its name was first resolved to, and no longer than it is', async () => {
    const names: Record<string, string[]> = {
      'registry.example': ['10.0.0.1', 'fd12::1'],
      'minio.example': ['10.0.0.2'],
    };
    const scene = new Scene(publicEndpoint, {}, names);
    await expect(scene.dialled('minio.example')).rejects.toThrow('its address is private');
    await scene.dialled('registry.example');
    expect(await scene.dialled('minio.example')).toHaveLength(1);
    expect(scene.check('http://10.0.0.2/x')).toBe('may be dialled');

    names['registry.example'] = ['10.0.0.1', '1.1.1.1'];
    await scene.dialled('registry.example');
    expect(scene.check('http://10.0.0.2/x')).toEqual(refusedAddress);
    names['registry.example'] = ['10.0.0.1'];
    await scene.dialled('registry.example');
    expect(scene.check('http://10.0.0.2/x')).toEqual(refusedAddress);
  });

  test('may lead nowhere private when that is forbidden', () => {
    const scene = new Scene('http://10.0.0.1:5000', { allowPrivate: false });
    expect(scene.check('http://10.0.0.2/x')).toEqual(refusedAddress);
    expect(scene.check('https://1.1.1.1/x')).toBe('may be dialled');
  });
});

test('with allowPrivate an upstream may lead anywhere', async () => {
  const scene = new Scene(publicEndpoint, { allowPrivate: true }, { 'cdn.example': ['10.0.0.1', '169.254.169.254'] });
  expect(scene.check('http://169.254.169.254/x')).toBe('may be dialled');
  expect(await scene.dialled('cdn.example')).toHaveLength(2);
});

describe('a registry that the configuration does not name', () => {
  const names = { 'registry.example': ['127.0.0.1'], 'other.example': ['1.1.1.1'] };

  test.each([undefined, false, true])(
    'is never private itself, nor leads there: allowPrivate %s',
    async (allowPrivate) => {
      const scene = new Scene(publicEndpoint, { allowPrivate, isOpenWorld: true }, names);
      await expect(scene.dialled('registry.example')).rejects.toThrow('must be public');
      expect(scene.check('http://10.0.0.1/x')).toEqual(refusedAddress);
      expect(await scene.dialled('other.example')).toHaveLength(1);
    },
  );
});

describe('a name', () => {
  test.each<[string, string, Partial<AddressGuardOptions>]>([
    ['foreign', publicEndpoint, {}],
    ['foreign', publicEndpoint, { allowPrivate: false }],
    ['foreign', 'http://10.0.0.1', { allowPrivate: false }],
    ['inside', publicEndpoint, { allowPrivate: true }],
    ['inside', 'http://10.0.0.1', {}],
    ['inside', 'http://localhost', {}],
  ])('that was not configured is %s for an upstream at %s with %j', async (origin, endpoint, options) => {
    const scene = new Scene(endpoint, options, { 'cdn.example': ['1.1.1.1'] });
    await scene.dialled('cdn.example');
    expect(scene.origins).toEqual([origin]);
  });

  test('that was configured is our own, one that a client named is not', async () => {
    const names = { 'registry.example': ['1.1.1.1'], 'Registry.Example.': ['1.1.1.1'] };
    const scene = new Scene(publicEndpoint, {}, names);
    await Promise.all(['registry.example', 'Registry.Example.'].map((name) => scene.dialled(name)));
    expect(scene.origins).toEqual(['own', 'own']);
    const open = new Scene(publicEndpoint, { allowPrivate: true, isOpenWorld: true }, names);
    await open.dialled('registry.example');
    expect(open.origins).toEqual(['foreign']);
  });

  test('that nobody knows is the error of the DNS', async () => {
    await expect(new Scene(publicEndpoint).dialled('cdn.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  test('is asked for once by all connections that open at the same time, and again by the next', async () => {
    const gate = new Gate();
    const scene = new Scene(publicEndpoint, {}, { 'cdn.example': ['1.1.1.1'] }, gate);
    const dialled = Array.from({ length: 32 }, () => scene.dialled('cdn.example'));
    gate.open();
    expect(await Promise.all(dialled)).toHaveLength(32);
    expect(scene.asked).toEqual(['cdn.example']);
    await scene.dialled('cdn.example');
    expect(scene.asked).toHaveLength(2);
  });
});

test('no address that is not public is dialled for a public upstream, however it is written', () => {
  const scene = new Scene(publicEndpoint);
  const inside = fc.constantFrom('10.0.0.1', '127.0.0.1', '192.168.7.7', '172.20.0.1', '169.254.169.254', '0.0.0.0');
  fc.assert(
    fc.property(inside, fc.constantFrom(8, 10, 16), fc.constantFrom(1, 2, 3, 4), (address, radix, parts) => {
      const bytes = address.split('.').map(Number);
      const last = bytes.slice(parts - 1).reduce((sum, byte) => sum * 256 + byte, 0);
      const prefix = radix === 16 ? '0x' : radix === 8 ? '0' : '';
      const host = [...bytes.slice(0, parts - 1), last].map((part) => prefix + part.toString(radix)).join('.');
      expect(scene.check(`http://${host}/x`)).toEqual(refusedAddress);
    }),
  );
});
