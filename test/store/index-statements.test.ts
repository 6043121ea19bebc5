// What is asked of the index while clients wait: answered from its indexes, however much it holds.
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { prepareSchema } from '../../src/store/index-schema.ts';
import { prepareStatements } from '../../src/store/index-statements.ts';

/** Of one row, read at start, or cut off by their own limit. */
const readsWhole = new Set(['totals', 'uses', 'pins', 'trimVerdicts']);

const database = new DatabaseSync(':memory:');
prepareSchema(database, 0);
const asked = Object.entries(prepareStatements(database)) as [string, StatementSync][];

test.each(asked.filter(([name]) => !readsWhole.has(name)))(
  '%s reads no table whole and sorts nothing',
  (_name, sql) => {
    const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql.sourceSQL}`).all() as { detail: string }[];
    expect(steps.map(({ detail }) => detail).filter((detail) => /SCAN|TEMP B-TREE/.test(detail))).toEqual([]);
  },
);

test('pins are looked up from themselves, not from every repository', () => {
  const steps = database.prepare(`EXPLAIN QUERY PLAN ${prepareStatements(database).pins.sourceSQL}`).all();
  expect(steps).toContainEqual(expect.objectContaining({ detail: expect.stringMatching(/^SEARCH r USING INTEGER/) }));
});

test('an origin that everybody could see stays one, in the index itself', () => {
  const sql = prepareStatements(database);
  sql.addBlob.run(1, 'sha256:a', 1, null, 1);
  for (const isPrivate of [1, 0, 1]) sql.addOrigin.run('sha256:a', 'docker.io', isPrivate);
  expect(sql.origin.get('sha256:a', 'docker.io', 0)).toBeDefined();
});
