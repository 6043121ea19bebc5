// What commands print as credentials, and what is made of it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePrintedCredentials } from '../../../src/upstream/credentials/printed-credentials.ts';

describe('credentials are read', () => {
  test.each([
    ['as a helper prints them', { ServerURL: 'ghcr.io', Username: 'robot', Secret: 's' }],
    ['in small letters', { username: 'robot', password: 's' }],
    ['with keys that nobody knows', { username: 'robot', password: 's', version: 1 }],
    ['with an expiry that is empty', { username: 'robot', password: 's', expiresAt: null }],
  ])('%s', (_, printed) => {
    expect(parsePrintedCredentials(JSON.stringify(printed))).toEqual({
      credentials: { username: 'robot', password: 's' },
      expiresAt: undefined,
    });
  });

  test.each([
    ['by its name', { identityToken: 'refresh' }],
    ['by the user that docker login gives it', { Username: '<token>', Secret: 'refresh' }],
  ])('as an identity token %s', (_, printed) => {
    expect(parsePrintedCredentials(JSON.stringify(printed)).credentials).toEqual({ identityToken: 'refresh' });
  });

  test.each(['2027-01-31T12:00:00Z', '2027-01-31T13:00:00.000+01:00', '2027-01-31T12:00:00.000000000Z'])(
    'with the time they expire: %s',
    (expiresAt) => {
      const { expiresAt: at } = parsePrintedCredentials(JSON.stringify({ username: 'a', password: 'b', expiresAt }));
      expect(at).toBe(Date.UTC(2027, 0, 31, 12));
    },
  );
});

describe('what is no credentials is told in our own words:', () => {
  test.each([
    ['', 'printed no JSON object'],
    ['secret', 'printed no JSON object'],
    ['{"username":"secret"', 'printed no JSON object'],
    ['null', 'printed no JSON object'],
    ['"secret"', 'printed no JSON object'],
    ['[]', 'printed no username and password'],
    ['{}', 'printed no username and password'],
    ['{"username":"robot"}', 'printed no username and password'],
    ['{"username":"robot","password":""}', 'printed no username and password'],
    ['{"username":"robot","password":["secret"]}', 'printed no username and password'],
    ['{"Username":"<token>"}', 'printed no username and password'],
    ['{"username":"a","password":"secret","expiresAt":"soon"}', 'printed an expiresAt that is no date'],
    ['{"username":"a","password":"secret","expiresAt":1893456000}', 'printed an expiresAt that is no date'],
  ])('%s', (output, complaint) => {
    expect(() => parsePrintedCredentials(output)).toThrow(complaint);
  });

  test('whatever is printed', () => {
    const complaints = /^printed (no JSON object|no username and password|an expiresAt that is no date, .*)$/;
    const parsed = (output: string) => {
      try {
        return typeof parsePrintedCredentials(output).credentials;
      } catch (error) {
        return complaints.test((error as Error).message) && (error as Error).cause === undefined ? 'object' : error;
      }
    };
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (output) => {
        expect(parsed(output)).toBe('object');
      }),
    );
  });
});
