// "*" lets other public registries in, and nothing that is not a public registry's name.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OciError } from '../../src/oci/errors.ts';
import type { PathRules } from '../../src/upstream/path-policy.ts';
import { Unlisted } from '../../src/upstream/unlisted.ts';
import { type Namespace, Upstreams } from '../../src/upstream/upstreams.ts';
import { silent, silentEntry } from './silent-upstream.ts';
import { never } from './upstream-scene.ts';

class Scene {
  readonly opened: string[] = [];
  readonly closed: string[] = [];
  readonly upstreams: Upstreams;
  now = 1_000_000;

  constructor(except: readonly string[] = [], rules: PathRules = {}) {
    const open = (name: string) => {
      this.opened.push(name);
      return { ...silent(name), label: '*', close: async () => void this.closed.push(name) };
    };
    const listed = ['docker.io', 'registry.gitlab.com'].map(silentEntry);
    this.upstreams = new Upstreams(listed, 'docker.io', {
      registries: new Unlisted({ open, except, now: () => this.now }),
      ...rules,
    });
  }

  routed(name: string, { ns, prefix }: Partial<Namespace> = {}): string {
    try {
      const { upstream, repository } = this.upstreams.route(name, { ns, prefix });
      expect(upstream.name).toBe(repository.registry);
      return `${repository.registry} ${repository.path}`;
    } catch (error) {
      if (error instanceof OciError) return error.code;
      throw error;
    }
  }
}

describe('a public registry that nobody configured', () => {
  test.each<[string, string, Partial<Namespace>]>([
    ['its path', 'quay.io/owner/app', {}],
    ['ns', 'owner/app', { ns: 'quay.io' }],
    ['a prefix', 'owner/app', { prefix: 'quay.io' }],
    ['all at once', 'quay.io/owner/app', { prefix: 'quay.io', ns: 'quay.io' }],
  ])('is reached by %s', (_, name, namespace) => {
    const scene = new Scene();
    expect(scene.routed(name, namespace)).toBe('quay.io owner/app');
    expect(scene.opened).toEqual(['quay.io']);
    expect(scene.upstreams.named({ ns: 'quay.io', prefix: undefined })).toBe('quay.io');
  });

  test.each(['a.co.uk', 'x.y.example.com', 'xn--bcher-kva.ch', 'registry.k8s.io', 'user.github.io'])(
    'may be called %s',
    (name) => {
      expect(new Scene().routed(`${name}/owner/app`)).toBe(`${name} owner/app`);
    },
  );

  test('is opened once, and only for a repository that could be there', () => {
    const scene = new Scene();
    expect(scene.routed('quay.io/Owner')).toBe('NAME_INVALID');
    expect(scene.upstreams.named({ ns: 'quay.io', prefix: undefined })).toBe('quay.io');
    expect(scene.opened).toEqual([]);
    for (let round = 0; round < 3; round++) scene.routed('quay.io/owner/app');
    expect(scene.opened).toEqual(['quay.io']);
  });

  test('is neither a name of the configuration nor a second registry for what that names', () => {
    const scene = new Scene();
    expect(scene.upstreams.names).toEqual(['docker.io', 'registry.gitlab.com']);
    expect(scene.routed('index.docker.io/redis')).toBe('docker.io library/redis');
    expect(scene.opened).toEqual([]);
  });

  test('is not meant by a path that begins like one where the client told the registry', () => {
    const scene = new Scene();
    expect(scene.routed('group.name/app', { ns: 'registry.gitlab.com' })).toBe('registry.gitlab.com group.name/app');
    expect(scene.routed('docker.io/owner/app', { ns: 'registry.gitlab.com' })).toBe('NAME_UNKNOWN');
    expect(scene.routed('owner/app', { ns: 'quay.io', prefix: 'ghcr.io' })).toBe('NAME_UNKNOWN');
    expect(scene.opened).toEqual([]);
  });
});

describe('what cannot be a public registry', () => {
  test.each([
    '127.0.0.1',
    '169.254.169.254',
    '2130706433',
    '0x7f.0.0.1',
    '1.1.1.1',
    '[::1]',
    'quay.io:443',
    '10.0.0.1:5000',
    'localhost',
    'localhost:5000',
    'a.localhost',
    'internal',
    'registry.internal',
    'metadata.google.internal',
    'registry.local',
    'registry.corp',
    'registry.lan',
    'registry.home.arpa.',
    'quay.io.',
    '.quay.io',
    'quay..io',
    'QUAY.IO',
    'co.uk',
    'io',
    '-a.quay.io',
    'a_b.quay.io',
    'quay.io%00',
    'user@quay.io',
    'quay.io/v2',
    `${'a'.repeat(64)}.io`,
    `${'a.'.repeat(126)}io`,
    '*',
    '',
  ])('is unknown: %s', (name) => {
    const scene = new Scene();
    expect(scene.routed('owner/app', { ns: name })).toBe('NAME_UNKNOWN');
    expect(scene.opened).toEqual([]);
  });

  test('is never opened, whatever it is', () => {
    const scene = new Scene();
    const word = fc.string({
      unit: fc.constantFrom('a', '1', '.', '-', ':', '/', '@', '[', ']', '_', 'io', '%', '\n'),
    });
    fc.assert(
      fc.property(word, word, (ns, name) => {
        scene.routed(name, { ns });
        scene.routed(`${ns}/${name}`);
        return scene.opened.every((opened) => /^(?=.*[a-z])[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(opened));
      }),
      { numRuns: 1000 },
    );
  });

  test('is a registry that the configuration takes out, by any of its names', () => {
    const open = () => {
      throw new Error('it was opened');
    };
    const upstreams = new Upstreams([], 'docker.io', {
      registries: new Unlisted({ open, except: ['docker.io', 'quay.io'] }),
    });
    for (const ns of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com', 'quay.io'])
      expect(() => upstreams.route('owner/app', { ns, prefix: undefined })).toThrow('not configured');
    expect(() => upstreams.route('quay.io/owner/app', { ns: undefined, prefix: undefined })).toThrow('not configured');
    expect(() => upstreams.route('owner/app', { ns: undefined, prefix: undefined })).toThrow('not configured');
  });
});

const minute = 60_000;

describe('of many registries', () => {
  test('a hundred stay open, and one that was long unused is opened anew when it comes again', () => {
    const scene = new Scene();
    for (let count = 0; count < 100; count++) scene.routed(`r${count}.example.com/a/b`);
    scene.now += minute;
    scene.routed('r0.example.com/a/b');
    expect(scene.upstreams.status()).toHaveLength(2 + 100);
    scene.routed('new.example.com/a/b');
    expect(scene.upstreams.status()).toHaveLength(2 + 100);
    scene.routed('r0.example.com/a/b');
    expect(scene.opened).toHaveLength(101);
    scene.routed('r1.example.com/a/b');
    expect(scene.opened.slice(101)).toEqual(['r1.example.com']);
  });

  test('no more than a hundred are asked in a minute, and whoever names another is told so', async () => {
    const scene = new Scene();
    for (let count = 0; count < 100; count++) scene.routed(`r${count}.example.com/a/b`);
    scene.now += minute - 1;
    for (let count = 0; count < 1000; count++) scene.routed(`new${count}.example.com/a/b`);
    expect(scene.opened).toHaveLength(100);
    // What is in the cache is found by its name, as ever.
    const { upstream, repository } = scene.upstreams.route('new.example.com/a/b', { ns: undefined, prefix: undefined });
    expect([repository.registry, upstream.label, upstream.mayAsk('blob')]).toEqual(['new.example.com', '*', false]);
    await expect(upstream.resolve('a/b', { tag: 'latest' }, never)).rejects.toMatchObject({
      failure: 'offline',
      message:
        'upstream new.example.com is not asked: 100 registries that the configuration does not name were in use ' +
        'within the last minute',
    });
    scene.routed('r0.example.com/a/b');
    scene.now += 1;
    scene.routed('new.example.com/a/b');
    expect(scene.opened.slice(100)).toEqual(['new.example.com']);
    const open = scene.upstreams.status().map(({ name }) => name);
    expect([open.length, open.includes('r0.example.com'), open.includes('r1.example.com')]).toEqual([102, true, false]);
  });

  test('none is closed under those who still fetch from it', () => {
    const scene = new Scene();
    for (let count = 0; count < 250; count++) {
      scene.now += minute;
      scene.routed(`r${count}.example.com/a/b`);
    }
    expect(scene.opened).toHaveLength(250);
    expect(scene.closed).toEqual([]);
  });

  test('all that are open are closed in the end', async () => {
    const scene = new Scene();
    scene.routed('quay.io/a/b');
    scene.routed('ghcr.io/a/b');
    await scene.upstreams.close();
    expect(scene.closed.toSorted()).toEqual(['ghcr.io', 'quay.io']);
  });
});

describe('the rules of "*"', () => {
  test('hold for every registry that is not configured, and for no other', () => {
    const scene = new Scene([], { allow: ['owner/*'], deny: ['owner/secret'] });
    expect(scene.routed('quay.io/owner/app')).toBe('quay.io owner/app');
    expect(scene.routed('quay.io/other/app')).toBe('DENIED');
    expect(scene.routed('quay.io/owner/secret')).toBe('DENIED');
    expect(scene.routed('other/app')).toBe('docker.io other/app');
    expect(() => scene.upstreams.route('quay.io/other/app', { ns: undefined, prefix: undefined })).toThrow(
      'quay.io/other/app may not be pulled through this mirror: it matches no glob of upstreams.*.allow',
    );
  });
});
