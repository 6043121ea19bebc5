// What is left to be quoted of a registry's answer to a login: nothing that it could have been shown.
import { describe, expect, test } from 'vitest';
import { discreet } from '../../../src/upstream/auth/discreet.ts';
import type { UpstreamResponse } from '../../../src/upstream/transport.ts';

const shown = 's3cr3t';

function answer(status: number, said = '', headers: Readonly<Record<string, string>> = {}): UpstreamResponse {
  const bytes = Buffer.from(said);
  return discreet({
    url: new URL('https://registry.example/v2/'),
    isForeign: false,
    status,
    header: (name) => headers[name],
    body: (async function* () {
      yield bytes;
    })(),
    bytes: async () => bytes,
    discard: () => {},
  });
}

async function textOf(response: UpstreamResponse): Promise<string> {
  return Buffer.from(await response.bytes(1024)).toString();
}

describe('of a body', () => {
  test.each([200, 206])('that is content (%d) everything is left', async (status) => {
    expect(await textOf(answer(status, shown))).toBe(shown);
  });

  test.each([201, 203, 300, 302, 400, 401, 403, 404, 429, 500])(
    'that is none (%d) only codes are left',
    async (status) => {
      const errors = [{ code: 'DENIED', message: shown, detail: shown }, { code: shown }];
      expect(await textOf(answer(status, JSON.stringify({ errors, shown })))).toBe('{"errors":[{"code":"DENIED"}]}');
      for (const said of [shown, `"${shown}"`, `{"errors":"${shown}"}`, `{"errors":[null,"${shown}"]}`, '<html>'])
        expect(await textOf(answer(status, said))).not.toMatch(/s3cr3t|html/);
    },
  );
});

describe('of a head', () => {
  test.each([
    ['content-type', 'application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.index.v1+json'],
    ['content-type', 'Text/HTML; charset=utf-8', 'text/html'],
    ['content-type', `you are ${shown}`, undefined],
    ['content-type', `text/html; you="${shown}"`, 'text/html'],
    ['content-range', 'bytes 0-9/10', 'bytes 0-9/10'],
    ['content-range', 'bytes 0-9/*', 'bytes 0-9/*'],
    ['content-range', `bytes of ${shown}`, undefined],
    ['content-encoding', 'gzip', 'gzip'],
    ['content-encoding', `gzip, ${shown}`, 'an unknown'],
    ['docker-content-digest', 'sha256:abc', 'sha256:abc'],
    ['content-length', '12', '12'],
    ['etag', undefined, undefined],
  ])('%s: %s is %s', (name, value, left) => {
    expect(answer(200, '', value === undefined ? {} : { [name]: value }).header(name)).toBe(left);
  });
});
