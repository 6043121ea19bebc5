// Registries of clouds and vendors, as odd as their users found them.
import { randomUUID } from 'node:crypto';
import { basic } from './fake-token-server.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { refusals } from './faults.ts';
import {
  partsOf,
  type QuirkyRegistry,
  quirkOf,
  redirect,
  refuse,
  type StartedQuirk,
  tagsOf,
} from './quirky-registry.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export const redHat: QuirkyRegistry = {
  name: 'the registry of Red Hat',
  sources: ['quay/quay#1310: what it sends is compressed unless identity alone is accepted'],
  async start() {
    const upstream = await startFakeUpstream();
    const when = ({ headers }: { headers: { 'accept-encoding'?: unknown } }) =>
      headers['accept-encoding'] !== 'identity';
    upstream.faults.add({ when }, { gzip: true });
    return quirkOf(upstream);
  },
};

export const artifactRegistry: QuirkyRegistry = {
  name: 'Artifact Registry',
  sources: [
    'sonatype/nexus-public#1061: the Location of a blob is relative',
    'ahmetb/serverless-registry-proxy#8: it is a 302 to /artifacts-downloads/ on the registry itself',
  ],
  async start() {
    const downloads = '/artifacts-downloads/namespaces/project/repositories/images/downloads/';
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { realm: '/v2/token' },
      async intercept(exchange) {
        if (!exchange.url.pathname.startsWith(downloads)) return false;
        const digest = exchange.url.pathname.slice(downloads.length);
        const content = [...upstream.repositories.values()].map(({ blobs }) => blobs.get(digest)).find(Boolean);
        await sendReply(exchange, content ? { content, acceptsRanges: true } : { status: 404 });
        return true;
      },
      async afterLogin(exchange) {
        const { name, reference } = partsOf(exchange);
        if (exchange.record.kind !== 'blob' || !upstream.repositories.get(name)?.blobs.has(reference)) return false;
        return redirect(exchange, 302, `${downloads}${reference}`);
      },
    });
    return quirkOf(upstream);
  },
};

export const mcr: QuirkyRegistry = {
  name: 'the registry of Microsoft',
  sources: ['microsoft/containerregistry#13: blobs are on another host, and nobody is asked who they are'],
  start: async () => quirkOf(await startFakeUpstream({ cdn: true })),
};

export const ecrPublic: QuirkyRegistry = {
  name: 'the public registry of Amazon',
  sources: [
    'aws/containers-roadmap#1806: even who is nobody needs a token',
    'aws/containers-roadmap#2671, distribution/distribution#4383: HEAD of a blob is 401 where GET is 307',
    'aws/containers-roadmap#1931: no digest header',
    'aws/containers-roadmap#2835, oras-project/oras-go#1227: a token that has expired is 400, without a challenge',
  ],
  repull: ['HEAD manifest', 'GET manifest'],
  async start() {
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { realm: '/token/', scope: 'aws' },
      cdn: true,
      async intercept(exchange) {
        const shown = exchange.request.headers.authorization;
        if (shown === undefined || upstream.tokens?.permits(shown, `repository:${partsOf(exchange).name}:pull`))
          return false;
        return refuse(exchange, 400, { code: 'DENIED', message: 'Your Authorization Token is invalid.' });
      },
    });
    upstream.faults.add({ method: 'HEAD', kind: 'blob' }, refusals.unauthorized);
    upstream.faults.add({ kind: 'manifest' }, { dockerContentDigest: null });
    return quirkOf(upstream);
  },
};

export type StartedPrivateEcr = StartedQuirk & {
  /** Twelve hours later: the password is another one. */
  expire(): void;
};

export const ecrPrivate = {
  name: 'a private registry of Amazon',
  sources: [
    'flipt-io/flipt#3043, bazel-contrib/rules_img#715: a password that has expired is 403, without a challenge',
    'awslabs/amazon-ecr-credential-helper#7: in plain text, once',
    'google/go-containerregistry#681: 400 for a list of more than a thousand tags',
  ],
  async start(): Promise<StartedPrivateEcr> {
    let password: string = randomUUID();
    const upstream = await startFakeUpstream({
      cdn: true,
      async intercept(exchange) {
        const { authorization } = exchange.request.headers;
        const challenge = { 'www-authenticate': `Basic realm="http://${exchange.request.headers.host}/"` };
        if (authorization === undefined)
          return refuse(exchange, 401, { code: 'UNAUTHORIZED', message: 'Not Authorized', headers: challenge });
        if (authorization !== basic('AWS', password))
          return refuse(exchange, 403, {
            code: 'DENIED',
            message: 'Your authorization token has expired. Reauthenticate and try again.',
          });
        if (exchange.record.kind !== 'tags' || Number(exchange.url.searchParams.get('n')) <= 1000) return false;
        return refuse(exchange, 400, { code: 'UNSUPPORTED', message: 'Invalid parameter at maxResults' });
      },
    });
    return {
      ...quirkOf(upstream),
      get login() {
        return { username: 'AWS', password };
      },
      expire() {
        password = randomUUID();
      },
    };
  },
} satisfies QuirkyRegistry;

export const acr: QuirkyRegistry = {
  name: 'the registry of Azure',
  sources: [
    'Azure/acr#166: a token comes from /oauth2/token, by POST for who has a refresh token',
    'Azure/acr#217, Azure/azure-sdk-for-js#20957: where its blobs are, the Authorization of the registry is an error',
  ],
  async start() {
    const identityToken = randomUUID();
    const auth = { realm: '/oauth2/token', field: 'access_token', identityToken } as const;
    return { ...quirkOf(await startFakeUpstream({ auth, cdn: true })), login: { identityToken } };
  },
};

export const rangeless: QuirkyRegistry = {
  name: 'a registry that takes a range for a mistake',
  sources: ['containerd/containerd#11998: 400 for bytes=0-'],
  async start() {
    const upstream = await startFakeUpstream();
    upstream.faults.add({ kind: 'blob', when: ({ headers }) => headers.range !== undefined }, { status: 400 });
    return quirkOf(upstream);
  },
};

export const pageless: QuirkyRegistry = {
  name: 'a registry that lists all of its tags, whatever was asked for',
  sources: ['distribution/distribution#3143: so did every registry:2 before 2.8'],
  async start() {
    const upstream: FakeUpstream = await startFakeUpstream({
      async afterLogin(exchange) {
        if (exchange.record.kind !== 'tags') return false;
        const { name } = partsOf(exchange);
        if (!upstream.repositories.has(name)) return false;
        const content = contentOf(JSON.stringify({ name, tags: tagsOf(upstream, name) }));
        await sendReply(exchange, { headers: { 'content-type': 'application/json' }, content });
        return true;
      },
    });
    return quirkOf(upstream);
  },
};
