// A registry with public and private repositories, a mirror with a login there, and five people with different rights.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from '@node-rs/bcrypt';
import { Caller } from './caller.ts';
import { basic } from './fake-token-server.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from './fake-upstream.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export const registry = 'reg.test';
/** The mirror's own login at the registry. */
export const robot = { username: 'robot', password: 'robot-secret-of-the-mirror' };
export const adminToken = 'token-of-the-admin-listener';
const passwords = { alice: 'alice-secret', mallory: 'mallory-secret', admin: 'admin-secret' } as const;

export const people = ['anonymous', 'mallory', 'admin', 'guesser', 'alice'] as const;
export type Person = (typeof people)[number];

export type AccessSceneOptions = {
  readonly anonymous?: 'pull' | 'none';
  readonly hidden?: FakeUpstreamOptions['hidden'];
  readonly missing?: FakeUpstreamOptions['missing'];
  /** Further settings of the one upstream. */
  readonly upstream?: Readonly<Record<string, unknown>>;
  /** Further keys at the top of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Puts repositories into the registry before the mirror starts. */
  readonly stock?: (upstream: FakeUpstream) => void;
};

export class AccessScene implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  readonly callers: Readonly<Record<Person, Caller>>;
  /** Who shows the token of the admin listener. */
  readonly operator: Caller;
  readonly #dir: TempDir;

  private constructor(dir: TempDir, upstream: FakeUpstream, mirror: MirrorProcess) {
    this.#dir = dir;
    this.upstream = upstream;
    this.mirror = mirror;
    this.callers = {
      anonymous: new Caller('anonymous', '127.0.1.1'),
      mallory: new Caller('mallory', '127.0.1.2', basic('mallory', passwords.mallory)),
      admin: new Caller('admin', '127.0.1.3', basic('admin', passwords.admin)),
      guesser: new Caller('guesser', '127.0.1.4', basic('alice', 'not-her-password')),
      alice: new Caller('alice', '127.0.1.5', basic('alice', passwords.alice)),
    };
    this.operator = new Caller('operator', '127.0.1.6', `Bearer ${adminToken}`);
  }

  /** Alice may have `reg.test/acme/**`; everybody else what the registry gives to everybody. */
  static async start(options: AccessSceneOptions = {}): Promise<AccessScene> {
    const { anonymous = 'pull', hidden, missing, upstream: settings = {}, config = {}, env, stock } = options;
    const dir = await tempDir('access');
    const htpasswdFile = join(dir.path, 'htpasswd');
    await writeFile(htpasswdFile, await htpasswd());
    const upstream = await startFakeUpstream({
      auth: { accounts: [robot] },
      ...(hidden && { hidden }),
      ...(missing && { missing }),
    });
    stock?.(upstream);
    const rules = [{ effect: 'allow', principals: ['alice'], repositories: [`${registry}/acme/**`] }];
    const mirror = await startMirror({
      upstreams: { [registry]: { endpoints: [upstream.url], credentials: robot, visibility: 'check', ...settings } },
      config: { access: { anonymous, htpasswdFile, rules }, ...config },
      env: { STILLWATER_ADMIN__TOKEN: adminToken, ...env },
    });
    return new AccessScene(dir, upstream, mirror);
  }

  get everybody(): readonly Caller[] {
    return people.map((person) => this.callers[person]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const caller of [...this.everybody, this.operator]) caller[Symbol.dispose]();
    await this.mirror[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
    await this.#dir.remove();
  }
}

/** A cost of 4 is the least there is: what hashing costs is no matter here. */
export async function htpasswd(): Promise<string> {
  const lines = Object.entries(passwords).map(async ([user, password]) => `${user}:${await hash(password, 4)}`);
  return `${(await Promise.all(lines)).join('\n')}\n`;
}
