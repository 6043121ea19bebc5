// A real HTTP registry for tests (pull side only) that can be slow, drop, lie, refuse and challenge.
import { configOf, type FakeManifest, type FakePlatform, imageManifest, manifestOf } from './fake-image.ts';
import { FakeRepository } from './fake-repository.ts';
import { type Account, FakeTokenServer, type RefusesScope, type TokenOptions } from './fake-token-server.ts';
import type { RouteKind } from './faults.ts';
import { type Exchange, type RecordedRequest, RecordedServer, type RequestFilter } from './recorded-server.ts';
import { answerRegistry, kindOfPath } from './registry-routes.ts';
import { sendReply } from './reply.ts';
import { contentOf, type GeneratedOptions, generateContent, type ServedContent } from './served-content.ts';

export type FakeUpstreamOptions = {
  /** With `auth` every request needs a bearer token from `upstream.tokens`; without, none is ever asked for. */
  readonly auth?: TokenOptions;
  /** In place of `auth`: these are known by their passwords, and a password is asked for where one is needed. */
  readonly basic?: readonly Account[];
  /** Blobs are redirected (307) to `upstream.cdn`, another origin that refuses an Authorization header as S3 does. */
  readonly cdn?: boolean;
  /** What a repository nobody added is: 404, or 401 after a good token as on Docker Hub. */
  readonly missing?: 'not-found' | 'unauthorized';
  /** What a private repository is to who does not see it; `unauthorized` unless told. */
  readonly hidden?: Hidden;
  /** Answers a request before the registry does; `false` leaves it to the registry. */
  readonly intercept?: (exchange: Exchange) => Promise<boolean>;
  /** As `intercept`, once the registry knows that the request may be answered. */
  readonly afterLogin?: (exchange: Exchange) => Promise<boolean>;
};

/**
 * After a good token: 401 as on Docker Hub, 403, or 404 as if it were not there. Instead of a token: 401 or 403, as
 * ghcr.io's token server does.
 */
export type Hidden = 'unauthorized' | 'denied' | 'not-found' | 'no token: 401' | 'no token: 403';

export type AddedImage = {
  readonly manifest: FakeManifest;
  readonly digest: string;
  readonly config: ServedContent;
  readonly layers: readonly ServedContent[];
};

export type ImageOptions = {
  readonly tag?: string;
  readonly kind?: 'oci' | 'docker';
  readonly platform?: FakePlatform;
  readonly layers?: readonly (ServedContent | Uint8Array | string)[];
};

export class FakeUpstream implements AsyncDisposable {
  readonly server: RecordedServer;
  readonly tokens: FakeTokenServer | undefined;
  readonly cdn: RecordedServer | undefined;
  readonly repositories = new Map<string, FakeRepository>();

  constructor(server: RecordedServer, tokens?: FakeTokenServer, cdn?: RecordedServer) {
    this.server = server;
    this.tokens = tokens;
    this.cdn = cdn;
  }

  get url(): string {
    return this.server.url;
  }

  get host(): string {
    return this.server.host;
  }

  get requests(): readonly RecordedRequest[] {
    return this.server.requests;
  }

  get faults() {
    return this.server.faults;
  }

  count(filter?: RequestFilter): number {
    return this.server.count(filter);
  }

  bytesSent(kind: RouteKind): number {
    return this.server.bytesSent({ kind }) + (this.cdn && kind === 'blob' ? this.cdn.bytesSent() : 0);
  }

  repository(name: string): FakeRepository {
    const known = this.repositories.get(name) ?? new FakeRepository(name);
    this.repositories.set(name, known);
    return known;
  }

  /** From now on only these users see it; they are some of `auth.accounts` or `basic`. */
  makePrivate(repository: string, ...readers: readonly string[]): void {
    this.repository(repository).readers = readers;
  }

  makePublic(repository: string): void {
    this.repository(repository).readers = undefined;
  }

  addBlob(repository: string, bytes: ServedContent | Uint8Array | string): ServedContent {
    const content = typeof bytes === 'string' || bytes instanceof Uint8Array ? contentOf(bytes) : bytes;
    this.repository(repository).blobs.set(content.digest, content);
    return content;
  }

  async addGeneratedBlob(repository: string, options: GeneratedOptions): Promise<ServedContent> {
    return this.addBlob(repository, await generateContent(options));
  }

  /** Takes JSON, or a finished manifest whose bytes stay as they are; returns what a client should see. */
  addManifest(repository: string, tag: string | undefined, json: object | FakeManifest, mediaType = ''): FakeManifest {
    const manifest = 'content' in json && 'mediaType' in json ? (json as FakeManifest) : manifestOf(mediaType, json);
    this.repository(repository).addManifest(manifest, tag);
    return manifest;
  }

  addImage(repository: string, options: ImageOptions = {}): AddedImage {
    const { tag = 'latest', kind = 'oci', platform = { architecture: 'amd64', os: 'linux' } } = options;
    const layers = (options.layers ?? [`layer of ${repository}:${tag}`]).map((layer) =>
      this.addBlob(repository, layer),
    );
    const config = this.addBlob(repository, configOf(platform, layers, `${repository}:${tag}`));
    const manifest = this.addManifest(repository, tag, imageManifest(config, layers, kind));
    return { manifest, digest: manifest.content.digest, config, layers };
  }

  /** An outage: connections are cut and refused until `reopen`. */
  async close(): Promise<void> {
    await Promise.all([this.server.close(), this.cdn?.close()]);
  }

  async reopen(): Promise<void> {
    await Promise.all([this.server.reopen(), this.cdn?.reopen()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.close(), this.tokens?.close()]);
  }
}

const noToken: Partial<Record<Hidden, 401 | 403>> = { 'no token: 401': 401, 'no token: 403': 403 };

export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const refusesScope: RefusesScope = (scope, user) => {
    const status = options.hidden && noToken[options.hidden];
    const [, name = ''] = /^repository:(.+):pull$/.exec(scope) ?? [];
    return upstream.repositories.get(name)?.isShownTo(user) === false ? status : undefined;
  };
  const tokens = options.auth && (await FakeTokenServer.start(options.auth, refusesScope));
  const cdn = options.cdn
    ? await RecordedServer.start({ kindOf: () => 'cdn', handle: (exchange) => answerCdn(upstream, exchange) })
    : undefined;
  const server = await RecordedServer.start({
    kindOf: ({ pathname }) => (pathname === options.auth?.realm ? 'token' : kindOfPath(pathname)),
    handle: async (exchange) => {
      if (await options.intercept?.(exchange)) return;
      if (tokens && exchange.record.kind === 'token') await tokens.answer(exchange);
      else await answerRegistry(upstream, exchange, options);
    },
  });
  const upstream: FakeUpstream = new FakeUpstream(server, tokens, cdn);
  return upstream;
}

async function answerCdn(upstream: FakeUpstream, exchange: Exchange): Promise<void> {
  if (exchange.request.headers.authorization !== undefined) {
    const content = contentOf(
      '<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>',
    );
    await sendReply(exchange, { status: 400, headers: { 'content-type': 'application/xml' }, content });
    return;
  }
  const digest = exchange.url.pathname.split('/').at(-1) ?? '';
  const repositories = [...upstream.repositories.values()];
  const manifest = repositories.map(({ manifests }) => manifests.get(digest)).find(Boolean);
  const content = manifest?.content ?? repositories.map(({ blobs }) => blobs.get(digest)).find(Boolean);
  const headers = { 'content-type': manifest?.mediaType ?? 'application/octet-stream', 'set-cookie': 'cdn=1' };
  await sendReply(exchange, content ? { headers, content, acceptsRanges: true } : { status: 404 });
}
