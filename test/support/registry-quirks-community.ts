// Registries of code forges and of the community, as odd as their users found them.
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { refusals } from './faults.ts';
import { partsOf, type QuirkyRegistry, quirkOf, redirect, refuse, tagsOf } from './quirky-registry.ts';
import { RecordedServer } from './recorded-server.ts';
import { sendReply } from './reply.ts';
import { contentOf } from './served-content.ts';

export const dockerHub: QuirkyRegistry = {
  name: 'Docker Hub',
  sources: [
    'jupyterhub/binderhub#1664: missing and private repositories are 401, whatever token is shown',
    'docker/docs#25122: blobs are on other hosts, which refuse an Authorization beside their own signature',
    'docker/hub-feedback#2094: ratelimit-limit and ratelimit-remaining; a HEAD is free',
    'docker/hub-feedback#2201: the limit on everything is plain text',
    'docker/hub-feedback#2459: Retry-After as a time of day, in unix seconds',
  ],
  async start() {
    let left = 100;
    const upstream = await startFakeUpstream({
      auth: {},
      cdn: true,
      missing: 'unauthorized',
      async afterLogin({ request, response, record }) {
        if (record.kind !== 'manifest') return false;
        if (request.method === 'GET') left -= 1;
        response.setHeader('ratelimit-limit', '100;w=21600');
        response.setHeader('ratelimit-remaining', `${left};w=21600`);
        response.setHeader('docker-ratelimit-source', '192.0.2.1');
        return false;
      },
    });
    return quirkOf(upstream);
  },
  limits: {
    'that pulls are used up': refusals.pullLimit,
    'in plain text that there were too many requests': refusals.abuseLimit,
    'when, in unix seconds': { ...refusals.pullLimit, headers: { 'retry-after': '1790000000' } },
    'to come back next year': { ...refusals.pullLimit, headers: { 'retry-after': '31536000' } },
    'when, on a day long past': { ...refusals.pullLimit, headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } },
  },
};

export const ghcr: QuirkyRegistry = {
  name: 'the registry of GitHub',
  sources: [
    'spegel client.go:385: the challenge names a scope that is nobody’s',
    'renovatebot/renovate#11446: DENIED without a challenge for who shows something that it does not like',
    'containerd/stargz-snapshotter#167: a HEAD is 403 where its blobs are',
    'artifacthub/hub#4785: referrers are a 303 to a web page, which has a limit of its own',
    'dependabot/cli#380: a 429 that says when to come back as Go writes a duration',
  ],
  missing: 403,
  hasReferrers: false,
  async start() {
    const page = await RecordedServer.start({
      kindOf: () => 'other',
      handle: (exchange) => sendReply(exchange, { status: 429, content: contentOf('<html>Whoa there!</html>') }),
    });
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { scope: 'repository:user/image:pull' },
      cdn: true,
      async intercept(exchange) {
        const shown = exchange.request.headers.authorization;
        if (shown === undefined || upstream.tokens?.permits(shown, `repository:${partsOf(exchange).name}:pull`))
          return false;
        return refuse(exchange, 403, { code: 'DENIED', message: 'denied' });
      },
      async afterLogin(exchange) {
        if (exchange.record.kind !== 'referrers') return false;
        return redirect(exchange, 303, `${page.url}/-/v2/packages/container/package/referrers`);
      },
    });
    const isMissing = (path: string) =>
      !upstream.repositories.has(/repository:(.+):pull/.exec(decodeURIComponent(path))?.[1] ?? '');
    upstream.tokens?.faults.add({ when: ({ path }) => isMissing(path) }, refusals.denied);
    upstream.cdn?.faults.add({ method: 'HEAD' }, { status: 403 });
    return quirkOf(upstream, [page]);
  },
  limits: {
    'when, as a Go duration': {
      status: 429,
      contentType: 'application/json',
      headers: { 'retry-after': '880.092µs' },
      body: '{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 880.092µs, allowed: 44000/minute"}]}',
    },
  },
};

export const quay: QuirkyRegistry = {
  name: 'Quay',
  sources: [
    'goharbor/harbor#23753: a token and nothing else, neither issued_at nor expires_in',
    'TritonDataCenter/node-docker-registry-client#12: tags are paged by next_page, with a whole address in the link',
    'deitch/docker_registry2#106: until 2024; releases that others run still do, and ignore last',
    'protocol.md §5.2: the realm is a path under /v2; blobs are a 302',
  ],
  async start() {
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { realm: '/v2/auth', expiresInSeconds: null },
      cdn: true,
      missing: 'unauthorized',
      async afterLogin(exchange) {
        const { name, reference } = partsOf(exchange);
        const { kind } = exchange.record;
        if (kind === 'blob' && upstream.repositories.get(name)?.blobs.has(reference))
          return redirect(exchange, 302, `${upstream.cdn?.url}/data/${reference}?signature=abc`);
        if (kind !== 'tags') return false;
        const tags = tagsOf(upstream, name);
        const n = Number(exchange.url.searchParams.get('n'));
        const from = Number(atob(exchange.url.searchParams.get('next_page') ?? '') || 0);
        const next = `${upstream.url}/v2/${name}/tags/list?next_page=${btoa(String(from + n))}&n=${n}`;
        const link = `<${next}>; rel="next"`;
        await sendReply(exchange, {
          headers: { 'content-type': 'application/json', ...(from + n < tags.length && { link }) },
          content: contentOf(JSON.stringify({ name, tags: tags.slice(from, from + n) })),
        });
        return true;
      },
    });
    return quirkOf(upstream);
  },
};

export const registryK8sIo: QuirkyRegistry = {
  name: 'the registry of Kubernetes',
  sources: [
    'kubernetes/registry.k8s.io#324: manifests and tags too are redirected, to the registry of a region',
    'protocol.md §5.2: the realm has the host that it was asked under; ?rid= is added',
  ],
  async start() {
    const regional = await startFakeUpstream();
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { realm: '/token' },
      async afterLogin(exchange) {
        if (exchange.record.kind === 'ping') return false;
        exchange.url.searchParams.set('rid', 'abc');
        return redirect(exchange, 307, `${regional.url}${exchange.url.pathname}${exchange.url.search}`);
      },
    });
    return { ...quirkOf(upstream, [regional.server]), content: regional };
  },
};

export const gitlab: QuirkyRegistry = {
  name: 'the registry of GitLab',
  sources: [
    'goharbor/harbor#23753: a token and nothing else, neither issued_at nor expires_in',
    'protocol.md §5.2: the realm is on another host of the same domain',
  ],
  async start() {
    const credentials = { username: 'deploy', password: 'of the project' };
    const upstream = await startFakeUpstream({
      auth: { realm: 'http://forge.example.org/jwt/auth', expiresInSeconds: null, credentials },
    });
    return { ...quirkOf(upstream), url: 'http://registry.forge.example.org', login: credentials };
  },
};

export const gitlabVirtual: QuirkyRegistry = {
  name: 'a virtual registry of GitLab',
  sources: ['moby/moby#50065: manifests are at an address that is signed for GET, and refuses HEAD with 403'],
  repull: ['HEAD manifest', 'GET manifest'],
  async start() {
    const upstream: FakeUpstream = await startFakeUpstream({
      auth: { expiresInSeconds: null },
      cdn: true,
      async afterLogin(exchange) {
        const { name, reference } = partsOf(exchange);
        const manifest = upstream.repositories.get(name)?.manifest(reference);
        if (exchange.record.kind !== 'manifest' || !manifest) return false;
        return redirect(exchange, 307, `${upstream.cdn?.url}/data/${manifest.content.digest}?signature=abc`);
      },
    });
    upstream.cdn?.faults.add({ method: 'HEAD' }, { status: 403, contentType: 'application/xml' });
    return quirkOf(upstream);
  },
};
