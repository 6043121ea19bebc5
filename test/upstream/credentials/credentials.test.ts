// The Basic authorization of RFC 7617.
import { expect, test } from 'vitest';
import { basicAuthorization } from '../../../src/upstream/credentials/credentials.ts';

test('credentials become a Basic authorization', () => {
  // The example of RFC 7617 §2.
  expect(basicAuthorization({ username: 'Aladdin', password: 'open sesame' })).toBe(
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  );
});

test('a password may hold colons and letters of any script', () => {
  const sent = basicAuthorization({ username: 'user', password: 'a:b é' }).replace('Basic ', '');
  expect(Buffer.from(sent, 'base64').toString()).toBe('user:a:b é');
});
