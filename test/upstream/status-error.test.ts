// What is quoted of a registry's refusal.
import { describe, expect, test } from 'vitest';
import { statusError } from '../../src/upstream/status-error.ts';
import { get, openTransport, redirect, startServer } from './upstream-scene.ts';

async function quoted(body: string): Promise<string> {
  await using server = await startServer({ status: 403, body });
  await using at = openTransport();
  const response = await at.transport.send(get(server.url));
  return (await statusError('registry.test', 'this', response)).message.replace(/^.* for this:? ?/, '');
}

describe('an authorization that is said again is left out', () => {
  test.each([
    ['Authorization: Basic cm9ib3Q6aHVudGVyMg==, sorry', 'Authorization: Basic ***, sorry'],
    ['bearer eyJhbGciOi.J9-_.sig~+/= and Bearer token-1', 'bearer *** and Bearer ***'],
    ['{"errors":[{"code":"DENIED","message":"Basic YTpi"}]}', 'DENIED Basic ***'],
  ])('%s', async (body, expected) => expect(await quoted(body)).toBe(expected));
});

test.each(['no bearer token was given', 'Basic authentication required', 'the basics: bearer'])(
  'words about it stay: %s',
  async (body) => expect(await quoted(body)).toBe(body),
);

test('foreign text becomes one short printable line', async () => {
  expect(await quoted('a\r\n\u0000b\u001b[31m é')).toBe('a b [31m');
  expect(await quoted('x'.repeat(1000))).toBe('x'.repeat(300));
  expect(await quoted('<html>')).toBe('an HTML page');
  expect(await quoted('')).toBe('');
});

test('nothing is quoted of a server that the registry only led us to', async () => {
  await using server = await startServer();
  await using inside = await startServer({ status: 503, body: 'for the eyes of this network only' });
  await using at = openTransport();
  redirect(server, '/a', `${inside.url}/b`);
  const response = await at.transport.send(get(`${server.url}/a`));
  expect(await statusError('registry.test', 'this', response)).toMatchObject({
    failure: 'failing',
    message: `upstream registry.test answered 503 for this at ${inside.host}`,
  });
});

test('an authorization is left out wherever its line is broken', async () => {
  expect(await quoted('Bearer\r\neyJhbGciOi.J9-_.sig')).toBe('Bearer ***');
});
