// Checks side by side: what they found in their order, and none that holds up the others or the end.
import { describe, expect, test } from 'vitest';
import { type Check, type Finding, one, runChecks } from '../../../src/cli/doctor/finding.ts';

const ok = (check: string): Finding => ({ check, mark: 'ok', what: 'fine' });

async function found(checks: readonly Check[], timeoutMs = 10_000): Promise<Finding[]> {
  const findings: Finding[] = [];
  await runChecks(checks, { timeoutMs, onFinding: (finding) => findings.push(finding) });
  return findings;
}

describe('checks', () => {
  test('run at the same time, and are told in their order', async () => {
    const first = Promise.withResolvers<void>();
    const order: string[] = [];
    const findings = await found([
      {
        name: 'first',
        run: async () => {
          await first.promise;
          order.push('first');
          return one(ok('first'));
        },
      },
      {
        name: 'second',
        run: async () => {
          order.push('second');
          first.resolve();
          return [ok('second'), ok('second too')];
        },
      },
    ]);
    expect(order).toEqual(['second', 'first']);
    expect(findings).toEqual([ok('first'), ok('second'), ok('second too')]);
  });

  test('that throw are faults of themselves alone', async () => {
    const findings = await found([
      { name: 'broken', run: () => Promise.reject(new Error('no such thing')) },
      { name: 'other', run: async () => one(ok('other')) },
    ]);
    expect(findings).toEqual([
      { check: 'broken', mark: 'fail', what: 'could not be looked at: no such thing' },
      ok('other'),
    ]);
  });

  test('may say what they found until their time was over', async () => {
    const findings = await found(
      [
        {
          name: 'slow',
          run: (signal) =>
            new Promise((resolve) =>
              signal.addEventListener('abort', () => resolve(one(ok('slow, as far as it came')))),
            ),
        },
      ],
      1,
    );
    expect(findings.map(({ check }) => check)).toEqual(['slow, as far as it came']);
  });

  test('that never end are given up', async () => {
    const findings = await found([{ name: 'endless', run: () => new Promise(() => {}) }], 1);
    expect(findings).toMatchObject([
      { check: 'endless', mark: 'fail', what: 'could not be looked at: it took longer than 0.001 s' },
    ]);
  });
});
