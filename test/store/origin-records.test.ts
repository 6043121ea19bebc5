// From which registries the bytes came that rest here, and whether everybody could see them there.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'), 'sha512')];
const shown: Repository = { registry: 'docker.io', path: 'library/redis' };
const hidden: Repository = { ...shown, isPrivate: true };
const elsewhere: Repository = { registry: 'ghcr.io', path: 'library/redis' };

function stored(): Records {
  const records = new Records(':memory:');
  for (const digest of [one, two]) records.putBlob(digest, 7);
  return records;
}

/** To everybody, to some, to everybody elsewhere, to some elsewhere; then whether it is public anywhere. */
function known(records: Records, digest = one): boolean[] {
  const asked = [shown, hidden, elsewhere, { ...elsewhere, isPrivate: true }];
  return [...asked.map((repository) => records.isFrom(repository, digest)), records.isPublic(digest)];
}

const [yes, no] = [true, false];

describe('the bytes of a blob', () => {
  test('are from nowhere until a registry gave them', () => {
    expect(known(stored())).toEqual([no, no, no, no, no]);
  });

  test('that everybody could see are from there to all', () => {
    const records = stored();
    records.addOrigin(one, shown);
    expect(known(records)).toEqual([yes, yes, no, no, yes]);
    expect(known(records, two)).toEqual([no, no, no, no, no]);
  });

  test('are from their registry, whichever repository of it gave them', () => {
    const records = stored();
    records.addOrigin(one, { ...shown, path: 'library/nginx' });
    expect(records.isFrom(shown, one)).toBe(true);
  });

  test('that only some could see are from there to them alone', () => {
    const records = stored();
    records.addOrigin(one, hidden);
    expect(known(records)).toEqual([no, yes, no, no, no]);
  });

  test.each([
    ['at last', [hidden, shown]],
    ['at first', [shown, hidden]],
  ])('are public for good when everybody could see them %s', (_when, given) => {
    const records = stored();
    for (const repository of given) records.addOrigin(one, repository);
    expect(known(records)).toEqual([yes, yes, no, no, yes]);
  });

  test('are public to nobody at a registry where only some could see them, however public they are elsewhere', () => {
    const records = stored();
    records.addOrigin(one, hidden);
    records.addOrigin(one, elsewhere);
    expect(known(records)).toEqual([no, yes, yes, yes, yes]);
  });

  test('are from nowhere again once they are gone, whoever brings them next', () => {
    const records = stored();
    for (const repository of [shown, elsewhere]) records.addOrigin(one, repository);
    records.addOrigin(two, shown);
    records.deleteBlob(one);
    expect(known(records)).toEqual([no, no, no, no, no]);
    records.putBlob(one, 7);
    expect(known(records)).toEqual([no, no, no, no, no]);
    expect(known(records, two)).toEqual([yes, yes, no, no, yes]);
  });

  test('are from where they were when they come again', () => {
    const records = stored();
    records.addOrigin(one, shown);
    records.putBlob(one, 8, 'm');
    records.putUnproven(one, 8, 1);
    records.prove(one);
    expect(known(records)).toEqual([yes, yes, no, no, yes]);
  });

  test('that do not rest here are from nowhere', () => {
    const records = new Records(':memory:');
    records.addOrigin(one, shown);
    records.putBlob(one, 7);
    expect(known(records)).toEqual([no, no, no, no, no]);
  });

  test('are from nowhere when what brought them failed', () => {
    const records = stored();
    expect(() =>
      records.batch(() => {
        records.addOrigin(one, shown);
        throw new Error('no room');
      }),
    ).toThrow('no room');
    expect(known(records)).toEqual([no, no, no, no, no]);
  });

  test('are from there after a restart too', async () => {
    await using dir = await tempDir('origins');
    const path = join(dir.path, 'index.db');
    const before = new Records(path);
    for (const digest of [one, two]) before.putBlob(digest, 7);
    before.addOrigin(one, shown);
    before.addOrigin(two, hidden);
    before.close();
    const after = new Records(path);
    expect(known(after)).toEqual([yes, yes, no, no, yes]);
    expect(known(after, two)).toEqual([no, yes, no, no, no]);
    after.close();
  });

  test('that are known to be from there are not written down again', async () => {
    await using dir = await tempDir('origins');
    const path = join(dir.path, 'index.db');
    const records = new Records(path);
    records.putBlob(one, 7);
    records.addOrigin(one, shown);
    using other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    for (const repository of [shown, hidden]) records.addOrigin(one, repository);
    expect(() => records.addOrigin(one, elsewhere)).toThrow('locked');
    other.exec('ROLLBACK');
    records.close();
  });
});
