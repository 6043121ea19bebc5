// A registry with something private, a mirror with credentials there, and a network whose machines may have that.
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { type Answer, errorOf, meaningOf, type StartRegistryOptions, startRegistry } from './start-registry.ts';

export const login = { username: 'mirror', password: 'a secret' };
const ci = { cidr: '10.1.0.0/16', principal: 'ci' };
export const asCi = from('10.1.2.3');
export const known = { trustedProxies: ['127.0.0.1'], networks: [ci] };
export const forCi = { effect: 'allow', principals: ['ci'], repositories: ['docker.io/acme/**'] } as const;

export function from(address: string) {
  return { headers: { 'x-forwarded-for': address } };
}

/** One upstream, whose credentials see acme/app, which nobody else sees, and library/app, which everybody does. */
export async function withPrivate(running: AsyncDisposableStack, options: Partial<StartRegistryOptions> = {}) {
  const upstream = running.use(await startFakeUpstream({ auth: { accounts: [login] }, missing: 'unauthorized' }));
  const image = upstream.addImage('acme/app');
  upstream.addImage('library/app');
  upstream.makePrivate('acme/app', login.username);
  const registry = await startRegistry({
    upstreams: { 'docker.io': { url: upstream.url, credentials: login } },
    exposures: { 'docker.io': 'check' },
    mayShare: false,
    ...options,
    access: { ...known, rules: [forCi], ...options.access },
  });
  running.use(registry);
  const doorsOf = (name: string, { tag, digest, config, layers } = { tag: 'latest', ...image }) => [
    `/v2/${name}/manifests/${tag}`,
    `/v2/${name}/manifests/${digest}`,
    `/v2/${name}/blobs/${layers[0]?.digest}`,
    `/v2/${name}/blobs/${config.digest}`,
    `/v2/${name}/tags/list`,
    `/v2/${name}/referrers/${digest}`,
  ];
  return { upstream, registry, image, doorsOf, ask: registry.ask };
}

/** All that an answer says, but for the name that was asked for. */
export function told(answer: Answer) {
  const body = answer.body.length > 0 ? errorOf(answer).replace(/docker\.io\/\S+/, 'NAME') : '';
  const { 'content-length': _, ...headers } = meaningOf(answer);
  return { status: answer.status, headers, body };
}
