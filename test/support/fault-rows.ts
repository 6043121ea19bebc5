// The faults of the table in docs/reliability.md: what each does to an upstream, its token server or its address.

import type { TokenOptions } from './fake-token-server.ts';
import type { FakeUpstream } from './fake-upstream.ts';
import { type FaultEffect, refusals } from './faults.ts';
import type { Gate } from './gate.ts';

export type FaultScene = {
  readonly upstream: FakeUpstream;
  /** What the token server grants for the repository that is asked for. */
  readonly scope: string;
  /** Opens when all has been asked. */
  readonly end: Gate;
};

export type FaultRow = {
  readonly name: string;
  /** The upstream wants tokens. */
  readonly auth?: TokenOptions;
  /** Keys of `upstreams.NAME` besides its endpoints. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The same, where a layer is asked for. */
  readonly layerConfig?: Readonly<Record<string, unknown>>;
  readonly bring?: (scene: FaultScene) => void | Promise<void>;
  /** Instead of `bring`: the mirror starts again on its cache, with this as its endpoint. */
  readonly endpoint?: string | 'self-signed';
  /** What a client may be refused with, where it is not one of 502, 503 and 504: those send it to its next endpoint. */
  readonly refusals?: readonly number[];
  /** `removal`: the upstream proves that nothing is there any more. `recovery`: the mirror mends it by itself. */
  readonly proves?: 'removal' | 'recovery';
};

export const layerBytes = 8 * 1024 * 1024;
/** Every answer for a layer that breaks does so after this much; the manifests are shorter. */
const brokenAfter = layerBytes / 4;
const manifestBrokenAfter = 100;
const login = { username: 'robot', password: 'taken-back' };

export const faultRows: readonly FaultRow[] = [
  { name: 'connection refused', bring: ({ upstream }) => upstream.close() },
  { name: 'DNS failure', endpoint: 'http://registry.invalid' },
  { name: 'TLS failure', endpoint: 'self-signed' },
  { name: 'hang before headers', bring: ({ upstream, end }) => void upstream.faults.add({}, { holdHeaders: end }) },
  {
    name: 'hang mid-body',
    // With the 30 s that are the default a layer of four pieces takes two minutes, and shows nothing else.
    layerConfig: { idleTimeout: '2s' },
    bring: (scene) => bodies(scene, { stallAfter: manifestBrokenAfter }, { stallAfter: brokenAfter }),
  },
  {
    name: '401',
    auth: {},
    bring: (scene) => every(scene, { ...refusals.unauthorized, headers: challenge(scene) }),
    refusals: [404],
  },
  { name: '403', bring: (scene) => every(scene, refusals.denied), refusals: [403] },
  { name: '404', bring: (scene) => every(scene, refusals.notFound), refusals: [404], proves: 'removal' },
  { name: '429 JSON', bring: (scene) => every(scene, refusals.pullLimit), refusals: [503] },
  { name: '429 plain text', bring: (scene) => every(scene, refusals.abuseLimit), refusals: [503] },
  { name: '500', bring: (scene) => every(scene, refusals.serverError) },
  { name: '502', bring: (scene) => every(scene, { ...refusals.unavailable, status: 502 }) },
  { name: '503', bring: (scene) => every(scene, refusals.unavailable) },
  {
    name: 'truncated manifest or blob',
    bring: (scene) => bodies(scene, { truncateAfter: manifestBrokenAfter }, { truncateAfter: brokenAfter }),
  },
  { name: 'wrong digest header', bring: (scene) => every(scene, { dockerContentDigest: `sha256:${'0'.repeat(64)}` }) },
  { name: 'wrong body', bring: (scene) => bodies(scene, { flipByteAt: 20 }, { flipByteAt: layerBytes - 20 }) },
  { name: 'HTML instead of JSON', bring: (scene) => every(scene, refusals.html) },
  { name: 'gzip-encoded body', bring: (scene) => every(scene, { gzip: true }) },
  { name: 'redirect loop', bring: (scene) => every(scene, { redirect: '/v2/round/and/round' }) },
  {
    name: 'redirect to 169.254.169.254',
    bring: (scene) => every(scene, { redirect: 'http://169.254.169.254/latest/meta-data/' }),
  },
  {
    name: 'token endpoint down',
    auth: {},
    bring: async ({ upstream: { tokens } }) => {
      tokens?.revokeAll();
      await tokens?.close();
    },
  },
  {
    name: 'token endpoint slow',
    auth: {},
    bring: ({ upstream: { tokens }, end }) => {
      tokens?.revokeAll();
      tokens?.faults.add({}, { holdHeaders: end });
    },
  },
  { name: 'expired token', auth: {}, bring: ({ upstream }) => upstream.tokens?.revokeAll(), proves: 'recovery' },
  {
    name: 'revoked credential',
    auth: { credentials: login },
    config: { credentials: login, visibility: 'public' },
    bring: ({ upstream: { tokens } }) => {
      tokens?.revokeAll();
      tokens?.faults.add({}, refusals.unauthorized);
    },
    refusals: [503, 404],
  },
];

function every({ upstream }: FaultScene, effect: FaultEffect): void {
  upstream.faults.add({}, effect);
}

/** Those of GETs only: a HEAD has none, and says the truth. */
function bodies({ upstream }: FaultScene, manifests: FaultEffect, blobs: FaultEffect): void {
  upstream.faults.add({ method: 'GET', kind: 'manifest' }, manifests);
  upstream.faults.add({ method: 'GET', kind: 'blob' }, blobs);
}

function challenge({ upstream, scope }: FaultScene): Record<string, string> {
  return { 'www-authenticate': upstream.tokens?.challenge(scope) ?? '' };
}
