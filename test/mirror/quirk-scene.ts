// A registry with its quirks behind a mirror that believes no tag for longer than it takes to ask again.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialsSetting } from '../../src/upstream/credentials/credentials.ts';
import { type StartedRegistry, startRegistry } from '../http/start-registry.ts';
import type { AddedImage } from '../support/fake-upstream.ts';
import type { StartedQuirk } from '../support/quirky-registry.ts';
import { tempDir } from '../support/temp-dir.ts';
import { digestFor, filled } from './start-mirror.ts';

export const path = 'org/app';
/** The registry as the mirror's configuration names it. */
export const name = 'registry.test';

export type QuirkScene<Q extends StartedQuirk = StartedQuirk> = AsyncDisposable & {
  readonly quirk: Q;
  readonly image: AddedImage;
  readonly registry: StartedRegistry;
  readonly url: string;
  /** Ends once all that was pulled is in the store. */
  stored(): Promise<unknown>;
  /** What the registry itself was asked since the last time, as `METHOD kind`. */
  asked(): string[];
};

export type QuirkSceneOptions = {
  readonly credentials?: CredentialsSetting;
  readonly layerBytes?: number;
};

/** `org/app:latest` is there, with one small layer and one that comes in parts. */
export async function quirkScene<Q extends StartedQuirk>(
  registry: { start(): Promise<Q> },
  { credentials, layerBytes = 3_000_000 }: QuirkSceneOptions = {},
): Promise<QuirkScene<Q>> {
  await using opened = new AsyncDisposableStack();
  const dir = opened.use(await tempDir('quirk'));
  const quirk = opened.use(await registry.start());
  const large = await quirk.content.addGeneratedBlob(path, { size: layerBytes, seed: 1 });
  const image = quirk.content.addImage(path, { layers: ['small', large] });
  const setting = credentials ?? (await settingOf(quirk, dir.path));
  const mirror = opened.use(
    await startRegistry({
      upstreams: { [name]: { url: quirk.url, ...(setting && { credentials: setting }) } },
      ttlMs: 0,
    }),
  );
  let known = 0;
  const all = opened.move();
  return {
    quirk,
    image,
    registry: mirror,
    url: mirror.url,
    stored: () => Promise.all([...image.layers, image.config].map((blob) => filled(mirror.mirror, digestFor(blob)))),
    asked() {
      const fresh = quirk.server.requests.slice(known);
      known = quirk.server.requests.length;
      return fresh.map(({ method, kind }) => `${method} ${kind}`);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** An identity token is nothing that a configuration holds: `docker login` leaves it in its own file. */
async function settingOf({ login }: StartedQuirk, dir: string): Promise<CredentialsSetting | undefined> {
  if (!login || 'username' in login) return login;
  const dockerConfig = join(dir, 'config.json');
  const auth = btoa('00000000-0000-0000-0000-000000000000:');
  await writeFile(dockerConfig, JSON.stringify({ auths: { [name]: { auth, identitytoken: login.identityToken } } }));
  return { dockerConfig };
}

export function codeOf({ body }: { readonly body: Buffer }): unknown {
  return JSON.parse(body.toString()).errors[0].code;
}
