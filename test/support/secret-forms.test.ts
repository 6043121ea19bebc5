// A search that found nothing would make every proof about secrets pass for nothing.
import { describe, expect, test } from 'vitest';
import { holdsSecret } from './secret-forms.ts';

const secret = 's3cret/+&=%"ÿ';

describe('a secret is found', () => {
  test.each<readonly [string, string]>([
    ['plain', `password ${secret}.`],
    ['in JSON', JSON.stringify({ password: secret })],
    ['in an address', `?password=${encodeURIComponent(secret)}&x=1`],
    ['in a form', new URLSearchParams({ refresh_token: secret }).toString()],
    ...['', 'u', 'us', 'user'].map((user) => [`in Basic of "${user}"`, base64(`${user}:${secret}`)] as const),
    ['in base64 before something', base64(`a:${secret} and more`)],
    ['in base64 for addresses', Buffer.from(`a:${secret}`).toString('base64url')],
  ])('%s', (_, text) => {
    expect(holdsSecret(text, secret)).toBe(true);
  });

  test('and nothing else is', () => {
    expect(holdsSecret(`s3cret ${base64('user:other-secret')}`, secret)).toBe(false);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
