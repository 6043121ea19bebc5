// Errors that carry the spec's words are real errors.
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { DigestMismatchError, OciError } from '../../src/oci/errors.ts';

test('an OciError keeps its code, detail and cause', () => {
  const cause = new Error('why');
  const error = new OciError('NAME_INVALID', 'no such name', { detail: { name: 'X' }, cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'OciError',
    code: 'NAME_INVALID',
    detail: { name: 'X' },
    message: 'no such name',
    cause,
  });
  expect('cause' in new OciError('DENIED', 'no')).toBe(false);
});

test('a DigestMismatchError names what was expected and what was found', () => {
  const [expected, found] = ['one', 'two'].map((text) => digestOf(Buffer.from(text)));
  const error = new DigestMismatchError(expected ?? digestOf(new Uint8Array()), found ?? '');
  expect(error).toMatchObject({ name: 'DigestMismatchError' });
  expect(error.message).toContain(expected);
  expect(error.message).toContain(found);
});
