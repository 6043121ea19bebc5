// Whether each upstream answers from here, takes its credentials, and how many pulls it leaves.
import { readAuthorities } from '../../config/pem.ts';
import type { UpstreamConfig } from '../../config/schema.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { type EndpointProbe, type LoginProbe, type ProbeProblem, probeUpstream } from '../../upstream/probe.ts';
import type { ClockReading } from './clock.ts';
import type { Finding } from './finding.ts';

export interface UpstreamLook {
  readonly clocks: readonly ClockReading[];
  readonly findings: readonly Finding[];
}

export interface LookOptions {
  readonly settings: UpstreamConfig;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function lookAtUpstream(
  name: string,
  { settings, metrics, log, signal }: LookOptions,
): Promise<UpstreamLook> {
  const { endpoints, connectTimeout, headersTimeout, idleTimeout, caFile, ...others } = settings;
  const probes = await probeUpstream(
    {
      ...others,
      name,
      endpoints: endpoints.map((endpoint) => new URL(endpoint)),
      ca: await readAuthorities(`upstreams.${name}.caFile`, caFile),
      connectTimeoutMs: connectTimeout,
      headersTimeoutMs: headersTimeout,
      idleTimeoutMs: idleTimeout,
      answerTimeoutMs: headersTimeout,
      metrics,
      log,
    },
    signal,
  );
  const isServed = probes.some(({ problem }) => problem === undefined);
  const findings = probes.flatMap((probe) => [
    reachability(name, probe, isServed),
    ...probe.logins.flatMap((login) => ofLogin(name, login)),
  ]);
  const clocks = probes.flatMap(({ clockAheadMs }) =>
    clockAheadMs === undefined ? [] : [{ of: name, aheadMs: clockAheadMs }],
  );
  return { clocks, findings };
}

function reachability(name: string, { endpoint, problem }: EndpointProbe, isServed: boolean): Finding {
  const check = `upstream ${name}`;
  if (!problem) return { check, mark: 'ok', what: `${endpoint} answers` };
  // Others stand in for it.
  const mark = isServed || problem.failure === 'limited' ? 'warn' : 'fail';
  const unused = mark === 'fail' ? `; if nobody here pulls from it: "${name}": null in upstreams` : '';
  return { check, mark, what: problem.message, remedy: `${remedyOf(name, endpoint, problem)}${unused}` };
}

function ofLogin(name: string, { credential, verdict, problem, remaining, limit }: LoginProbe): Finding[] {
  const isAnonymous = credential === 'anonymous';
  const whose = isAnonymous ? '' : ` (login ${credential})`;
  const findings: Finding[] = [];
  const check = isAnonymous ? `tokens of ${name}` : `credentials of ${name}${whose}`;
  if (problem) {
    const key = `upstreams.${name}.credentials`;
    const remedy = verdict === 'refused' ? `set ${key} to what the registry takes` : remedyOf(name, '', problem);
    findings.push({ check, mark: problem.failure === 'limited' ? 'warn' : 'fail', what: problem.message, remedy });
  } else if (!isAnonymous) {
    const unasked = 'not shown: the registry asks nobody who he is';
    findings.push({
      check,
      mark: verdict === 'accepted' ? 'ok' : 'skip',
      what: verdict === 'accepted' ? 'accepted' : unasked,
    });
  }
  if (remaining !== undefined) findings.push(pullsLeft(`pulls of ${name}${whose}`, { remaining, limit, isAnonymous }));
  return findings;
}

function pullsLeft(
  check: string,
  { remaining, limit, isAnonymous }: { remaining: number; limit: number | undefined; isAnonymous: boolean },
): Finding {
  const what = `${remaining}${limit === undefined ? '' : ` of ${limit}`} left`;
  if (remaining > (limit ?? 0) / 10) return { check, mark: 'ok', what };
  const login = isAnonymous ? 'credentials have a limit of their own' : 'more logins have more';
  return {
    check,
    mark: 'warn',
    what,
    remedy: `what is cached goes on working; ${login}: see docs/upstreams.md, "Limits"`,
  };
}

function remedyOf(name: string, endpoint: string, { step, failure }: ProbeProblem): string {
  if (step === 'dns') return 'look at /etc/resolv.conf; where only a proxy knows names, set HTTPS_PROXY for the mirror';
  if (step === 'tls') return `set upstreams.${name}.caFile to the authority that signs here, and look at the clock`;
  if (step === 'connect')
    return `let this machine out${endpoint && ` to ${endpoint}`}, or set HTTPS_PROXY for the mirror`;
  if (failure === 'limited') return 'wait, or give credentials: what is cached goes on working';
  if (failure === 'failing' || failure === 'timeout') return 'try again later: what is cached goes on working';
  return `look at upstreams.${name} of the configuration`;
}
