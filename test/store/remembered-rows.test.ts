// Whatever is written, in whatever order: the index answers from memory what it would answer from its tables.
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { RowMemory } from '../../src/store/row-memory.ts';
import { tempDir } from '../support/temp-dir.ts';

afterEach(() => vi.restoreAllMocks());

const digests = [1, 2, 3].map((number) => digestOf(Buffer.from(String(number))));
const names = [
  { registry: 'docker.io', path: 'library/redis' },
  { registry: 'docker.io', path: 'library/nginx' },
  { registry: 'ghcr.io', path: 'library/redis' },
];
const repositories = names.flatMap((name) => [name, { ...name, isPrivate: true }]);
const tags = ['latest', '8'];

/** Everything that is answered from memory, of everything there is. */
function answers(records: Records): unknown {
  return {
    blobs: digests.map((digest) => records.blob(digest)),
    anyOrigin: digests.map((digest) => records.hasOrigin(digest)),
    isPublic: digests.map((digest) => records.isPublic(digest)),
    verdicts: repositories.map((repository) => records.verdict(repository)),
    tags: repositories.map((repository) => tags.map((tag) => records.tag(repository, tag))),
    links: repositories.map((repository) => digests.map((digest) => records.link(repository, digest))),
    isFrom: repositories.map((repository) => digests.map((digest) => records.isFrom(repository, digest))),
  };
}

function fromTables(records: Records): unknown {
  const recall = vi.spyOn(RowMemory.prototype, 'recall').mockImplementation((_of, _asker, read) => read());
  try {
    return answers(records);
  } finally {
    recall.mockRestore();
  }
}

type Write = (records: Records) => void;

const digest = fc.constantFrom(...digests);
const repository = fc.constantFrom(...repositories);
const tag = fc.constantFrom(...tags);
const number = fc.integer({ min: 0, max: 9 });
const descriptor = fc.record({
  digest,
  size: number,
  mediaType: fc.constantFrom('application/vnd.oci.image.manifest.v1+json', 'application/octet-stream'),
});
const tagRecord = fc.record({ digest, checkedAt: number, earlier: fc.option(digest, { nil: undefined }) });

function writes<T extends unknown[]>(
  act: (records: Records, ...args: T) => void,
  ...of: { [K in keyof T]: fc.Arbitrary<T[K]> }
) {
  return fc
    .tuple<T>(...of)
    .map((args): [string, Write] => [`${act} ${JSON.stringify(args)}`, (records) => act(records, ...args)]);
}

const write = fc.oneof(
  writes((records, of: Digest, size: number) => records.putBlob(of, size, 'a/b'), digest, number),
  writes((records, of: Digest, size: number) => records.putUnproven(of, size, 1), digest, number),
  writes((records, of: Digest) => records.prove(of), digest),
  writes((records, of: Digest) => records.deleteBlob(of), digest),
  writes((records, ...[by, some]) => records.addLinks(by, some), repository, fc.array(descriptor, { maxLength: 3 })),
  writes((records, ...[by, one]) => records.proveLink(by, one), repository, descriptor),
  writes((records, ...[by, name, is]) => records.putTag(by, name, is), repository, tag, tagRecord),
  writes((records, ...[by, name]) => records.deleteTag(by, name), repository, tag),
  writes(
    (records, ...[by, names, some]) => records.letGo(by, { tags: names, digests: some }),
    repository,
    fc.array(tag, { maxLength: 2 }),
    fc.array(digest, { maxLength: 2 }),
  ),
  writes((records, ...[by, name]) => records.pin(by, name), repository, tag),
  writes((records, ...[by, name]) => records.unpin(by, name), repository, tag),
  writes((records, ...[by, subject, of]) => records.addReferrer(by, subject, of), repository, digest, digest),
  writes((records, of: Digest, by) => records.addOrigin(of, by), digest, repository),
  writes((records, ...[by, isPublic, at]) => records.putVerdict(by, isPublic, at), repository, fc.boolean(), number),
);

type Step = { readonly batch: readonly [string, Write][]; readonly end: 'alone' | 'kept' | 'failed' | 'reopened' };

const step: fc.Arbitrary<Step> = fc.record({
  batch: fc.array(write, { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('alone', 'alone', 'kept', 'failed', 'reopened'),
});

test('memory and tables agree after every write, in a batch, after one that failed, and over a restart', async () => {
  await using dir = await tempDir('remembered');
  let file = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const path = join(dir.path, `${file++}.db`);
      let records = new Records(path);
      const agree = () => expect(answers(records)).toEqual(fromTables(records));
      const run = (batch: Step['batch']) => {
        for (const [, act] of batch) {
          act(records);
          agree();
        }
      };
      for (const { batch, end } of steps) {
        agree();
        if (end === 'alone' || end === 'reopened') run(batch);
        if (end === 'kept') records.batch(() => run(batch));
        if (end === 'failed')
          expect(() =>
            records.batch(() => {
              run(batch);
              throw new Error('taken back');
            }),
          ).toThrow('taken back');
        if (end === 'reopened') {
          records.close();
          records = new Records(path);
        }
        agree();
      }
      records.close();
    }),
    { numRuns: 60 },
  );
}, 120_000);
