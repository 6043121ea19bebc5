// Whether the mirror is up, and what it says of itself.
import { ask, whyNot } from './ask.ts';
import { type Finding, one } from './finding.ts';
import type { Target } from './target.ts';

export interface MirrorLook {
  readonly isUp: boolean;
  /** How far its clock is ahead of ours. */
  readonly clockAheadMs: number | undefined;
  readonly findings: readonly Finding[];
}

export async function lookAtMirror(target: Target, signal: AbortSignal): Promise<MirrorLook> {
  const { url } = target.address;
  const finding = { check: 'mirror' } as const;
  try {
    const sentAt = Date.now();
    const { status, headers } = await ask(target.registry, '/v2/', { signal });
    const toldAt = Date.parse(headers.date ?? '');
    const clockAheadMs = Number.isNaN(toldAt) ? undefined : toldAt - (sentAt + Date.now()) / 2;
    const isUp = status === 200 || status === 401;
    const what = isUp ? `${url} answers` : `${url} answered ${status} to /v2/, which no mirror does`;
    const remedy = 'look whether another program has this address, or give --mirror URL';
    const findings = one({ ...finding, mark: isUp ? 'ok' : 'fail', what, ...(!isUp && { remedy }) });
    return { isUp, clockAheadMs: isUp ? clockAheadMs : undefined, findings };
  } catch (error) {
    const remedy = target.isHere
      ? 'start it: stillwater serve (or systemctl start stillwater); one that is elsewhere: --mirror URL'
      : 'look whether it runs there, and whether a firewall is between';
    const what = `${url} does not answer: ${whyNot(error)}`;
    return { isUp: false, clockAheadMs: undefined, findings: one({ ...finding, mark: 'fail', what, remedy }) };
  }
}

/** Of a mirror that is up: one that is not has nothing to add. */
export async function lookAtReadiness({ admin }: Target, signal: AbortSignal): Promise<readonly Finding[]> {
  const check = 'ready';
  if (!admin)
    return one({ check, mark: 'skip', what: 'the address of its admin listener is not known; give --admin URL' });
  try {
    const { status, body } = await ask(admin, '/readyz', { signal });
    const said = body.toString().trim().split('\n').slice(0, 10).join('; ');
    if (status === 200) return one({ check, mark: 'ok', what: 'it says that it is ready' });
    if (status === 503)
      return one({ check, mark: 'fail', what: `it is not ready: ${said}`, remedy: 'its log says more' });
    return one({ check, mark: 'fail', what: `${admin.url.host} answered ${status} to /readyz`, remedy: otherAdmin });
  } catch (error) {
    const what = `its admin listener does not answer: ${admin.url.host}: ${whyNot(error)}`;
    return one({ check, mark: 'warn', what, remedy: otherAdmin });
  }
}

const otherAdmin = 'give --admin URL, or look at admin.host and admin.port of its configuration';
