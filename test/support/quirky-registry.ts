// What a registry with quirks is to a test: how it starts, who told of it, and what a client of the mirror should see.
import type { FakeUpstream } from './fake-upstream.ts';
import type { FaultEffect } from './faults.ts';
import type { Exchange, RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export type QuirkyRegistry = {
  readonly name: string;
  /** The issues and threads that its quirks are known from. */
  readonly sources: readonly string[];
  start(): Promise<StartedQuirk>;
  /** What a client of the mirror is told of a repository that the registry does not have; 404 where nothing is said. */
  readonly missing?: 403;
  /** What a tag costs its registry that is asked for again and has not moved: one HEAD where nothing is said. */
  readonly repull?: readonly string[];
  /** `false`: it does not tell what refers to a digest. */
  readonly hasReferrers?: false;
  /** Its ways to say "not now". */
  readonly limits?: Readonly<Record<string, FaultEffect>>;
};

export type StartedQuirk = AsyncDisposable & {
  /** What the mirror is told to ask. */
  readonly url: string;
  /** The registry itself. */
  readonly server: RecordedServer;
  /** Where its images are put. */
  readonly content: FakeUpstream;
  /** Whom it lets in; anybody where nothing is said. */
  readonly login?: { readonly username: string; readonly password: string } | { readonly identityToken: string };
  /** Other origins that it sends its clients to: they must never be shown an Authorization. */
  readonly elsewhere: readonly RecordedServer[];
};

export function quirkOf(upstream: FakeUpstream, elsewhere: readonly RecordedServer[] = []): StartedQuirk {
  return {
    url: upstream.url,
    server: upstream.server,
    content: upstream,
    elsewhere: [...(upstream.cdn ? [upstream.cdn] : []), ...elsewhere],
    async [Symbol.asyncDispose]() {
      for (const server of [upstream, ...elsewhere]) await server[Symbol.asyncDispose]();
    },
  };
}

/** Answers in the words of a registry. */
export async function refuse(
  exchange: Exchange,
  status: number,
  { code, message, headers = {} }: { code: string; message: string; headers?: Readonly<Record<string, string>> },
): Promise<true> {
  const content = contentOf(JSON.stringify({ errors: [{ code, message }] }));
  await sendReply(exchange, { status, headers: { 'content-type': 'application/json', ...headers }, content });
  return true;
}

export async function redirect(exchange: Exchange, status: number, location: string): Promise<true> {
  await sendReply(exchange, { status, headers: { location } });
  return true;
}

/** The repository and the last part of a registry's path: a digest, a tag, or `list`. */
export function partsOf({ url }: Exchange): { readonly name: string; readonly reference: string } {
  const { name = '', reference = '' } =
    /^\/v2\/(?<name>.+)\/[a-z]+\/(?<reference>[^/]+)$/.exec(url.pathname)?.groups ?? {};
  return { name, reference };
}

/** The tags of a repository, in the order that registries list them in. */
export function tagsOf(upstream: FakeUpstream, name: string): string[] {
  return [...(upstream.repositories.get(name)?.tags.keys() ?? [])].sort();
}
