// A private image on Docker Hub that real clients can unpack, and a mirror that gives it to those it knows.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from '@node-rs/bcrypt';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { RecordingFront } from './recording-front.ts';
import { type TempDir, tempDir } from './temp-dir.ts';
import { addUnpackable } from './unpackable-image.ts';

export const alice = { username: 'alice', password: 'alice-secret' };
/** The mirror's own login. */
export const robot = { username: 'robot', password: 'robot-secret' };

export type PrivateImageOptions = {
  readonly anonymous?: 'pull' | 'none';
  readonly env?: (dir: string) => Promise<NodeJS.ProcessEnv>;
};

/** `acme/app` is private and `acme/open` is not; alice and the certificate of `builder` may have both. */
export class PrivateImageScene implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  /** Plain HTTP clients speak to the mirror through this. */
  readonly front: RecordingFront;
  readonly dir: TempDir;

  private constructor(dir: TempDir, upstream: FakeUpstream, mirror: MirrorProcess, front: RecordingFront) {
    this.dir = dir;
    this.upstream = upstream;
    this.mirror = mirror;
    this.front = front;
  }

  static async start({ anonymous = 'pull', env }: PrivateImageOptions = {}): Promise<PrivateImageScene> {
    const dir = await tempDir('private');
    const htpasswdFile = join(dir.path, 'htpasswd');
    await writeFile(htpasswdFile, `alice:${await hash(alice.password, 4)}\n`);
    const upstream = await startFakeUpstream({ auth: { accounts: [robot] }, missing: 'unauthorized', cdn: true });
    await addUnpackable(upstream, { repository: 'acme/app', seed: 700 });
    await addUnpackable(upstream, { repository: 'acme/open', seed: 701 });
    upstream.makePrivate('acme/app', robot.username);
    const rules = [{ effect: 'allow', principals: ['alice', 'builder'], repositories: ['docker.io/acme/**'] }];
    const mirror = await startMirror({
      upstreams: { 'docker.io': { endpoints: [upstream.url], credentials: robot } },
      config: { access: { anonymous, htpasswdFile, rules }, log: { level: 'trace' } },
      env: (await env?.(dir.path)) ?? {},
    });
    return new PrivateImageScene(dir, upstream, mirror, await RecordingFront.start(mirror.port));
  }

  /** Of the requests for the private image that the mirror has answered since `from`, each once. */
  statuses(from = 0): unknown[] {
    const asked = this.mirror.logs.filter(({ msg, url }) => msg === 'request' && String(url).includes('/acme/app/'));
    return [...new Set(asked.slice(from).map(({ status }) => status))].sort();
  }

  get answered(): number {
    return this.mirror.logs.filter(({ msg, url }) => msg === 'request' && String(url).includes('/acme/app/')).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front[Symbol.asyncDispose]();
    await this.mirror[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
    await this.dir.remove();
  }
}
