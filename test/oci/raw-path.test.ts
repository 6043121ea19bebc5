// Request targets as they came: what may hold secrets is cut off, and nothing else is changed.
import { expect, test } from 'vitest';
import { originForm, targetPath } from '../../src/oci/raw-path.ts';

test.each([
  ['/v2/a/manifests/b?ns=docker.io', '/v2/a/manifests/b?ns=docker.io', '/v2/a/manifests/b'],
  ['http://user:word@host:5000/v2/?a#b', '/v2/?a#b', '/v2/'],
  ['HTTPS://user:word@host/v2/', '/v2/', '/v2/'],
  ['any+thing.1-x://user:word@host/x', '/x', '/x'],
  ['http://user:word@host?token=x', '?token=x', ''],
  ['http://user:word@host', '', ''],
  ['http://[::1]:5000/%2e%2e/x#y', '/%2e%2e/x#y', '/%2e%2e/x'],
  ['/a#b', '/a#b', '/a'],
  ['/x/http://user@host/y', '/x/http://user@host/y', '/x/http://user@host/y'],
  ['//user@host/x', '//user@host/x', '//user@host/x'],
  ['/a?b\nc', '/a?b\nc', '/a'],
  ['*', '*', '*'],
  ['', '', ''],
])('%j is %j, and its path is %j', (target, origin, path) => {
  expect([originForm(target), targetPath(target)]).toEqual([origin, path]);
});
