// Every fault of an upstream, cached or not. `npm run bench:faults` writes the table of it into docs/reliability.md.
import { beforeAll, describe, expect, test } from 'vitest';
import { type CellResult, situations } from '../support/fault-cell.ts';
import { brokenPromises } from '../support/fault-promises.ts';
import { faultRows } from '../support/fault-rows.ts';
import { runFaults } from '../support/fault-run.ts';
import { requireTool } from '../support/tool.ts';

const names = faultRows.map(({ name }) => name);

describe.skipIf(!requireTool('openssl'))('an upstream with a fault', () => {
  let results: readonly CellResult[] = [];
  beforeAll(async () => {
    results = await runFaults();
  }, 180_000);

  test('is asked in every situation', () => {
    expect(results).toHaveLength(names.length * situations.length);
  });

  describe.each(names)('%s', (name) => {
    test.each(situations)('keeps every promise: %s', (situation) => {
      const found = results.filter((result) => result.row.name === name && result.situation === situation);
      expect(found.flatMap(brokenPromises)).toEqual([]);
    });
  });
});
