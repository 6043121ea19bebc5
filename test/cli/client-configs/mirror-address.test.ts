// Where clients reach the mirror: as a person writes it, and as the configuration has it.
import { describe, expect, test } from 'vitest';
import { mirrorOf, parseMirrorAddress } from '../../../src/cli/client-configs/mirror-address.ts';
import { faultOf, load } from '../../config/config-files.ts';

describe('an address', () => {
  test.each([
    ['http://mirror.example:5000', 'http://mirror.example:5000', 'mirror.example:5000', true, ''],
    ['http://mirror.example:5000/', 'http://mirror.example:5000', 'mirror.example:5000', true, ''],
    ['http://mirror.example:5000/v2/', 'http://mirror.example:5000', 'mirror.example:5000', true, ''],
    ['HTTPS://Mirror.Example', 'https://mirror.example', 'mirror.example', false, ''],
    ['https://mirror.example:443', 'https://mirror.example', 'mirror.example', false, ''],
    ['http://mirror.example:80', 'http://mirror.example', 'mirror.example', true, ''],
    ['http://[fd00::1]:5000', 'http://[fd00::1]:5000', '[fd00::1]:5000', true, ''],
    ['http://10.0.0.5:5000', 'http://10.0.0.5:5000', '10.0.0.5:5000', true, ''],
    ['https://proxy.example/hub/', 'https://proxy.example/hub', 'proxy.example', false, '/hub'],
    ['https://proxy.example/hub/v2', 'https://proxy.example/hub', 'proxy.example', false, '/hub'],
  ])('%s is read', (text, url, host, isPlain, path) => {
    expect(parseMirrorAddress(text)).toMatchObject({ url, host, isPlain, path, isLoopback: false });
  });

  test.each(['http://localhost:5000', 'http://127.0.0.1:5000', 'http://127.1.2.3', 'http://[::1]:5000'])(
    '%s is one of loopback',
    (text) => {
      expect(parseMirrorAddress(text).isLoopback).toBe(true);
    },
  );

  test.each([
    ['mirror.example:5000', 'Write it as http://mirror.example:5000.'],
    ['mirror.example', 'Write it as http://mirror.example:5000.'],
    ['tcp://mirror.example:5000', 'Write it as http://mirror.example:5000.'],
    ['http://', 'Write it as http://mirror.example:5000.'],
    ['http://mirror.example:99999', 'Write it as http://mirror.example:5000.'],
    ['', 'Write it as http://mirror.example:5000.'],
    ['http://me:secret@mirror.example', 'It may have no user name, password, "?" or "#".'],
    ['http://mirror.example/?ns=docker.io', 'It may have no user name, password, "?" or "#".'],
    ['http://mirror.example/#x', 'It may have no user name, password, "?" or "#".'],
    ['http://mirror.example/v2/docker.io', 'Leave out /v2 and what follows: clients add it themselves.'],
  ])('%j is refused', (text, message) => {
    expect(() => parseMirrorAddress(text)).toThrow(message);
    expect(() => parseMirrorAddress(text)).not.toThrow('secret');
  });
});

describe('the address of a configuration', () => {
  const of = (listen: object) => mirrorOf(load({ listen }).config, 'box').url;
  const tls = { certFile: 'a.pem', keyFile: 'b.pem' };

  test.each([
    [{}, 'http://box:5000'],
    [{ host: '::', port: 80 }, 'http://box'],
    [{ host: '10.0.0.5', port: 8080 }, 'http://10.0.0.5:8080'],
    [{ host: 'fd00::1' }, 'http://[fd00::1]:5000'],
    [{ host: 'mirror.example', port: 443, tls }, 'https://mirror.example'],
  ])('%j is where clients reach it', (listen, url) => {
    expect(of(listen)).toBe(url);
  });

  test('that changes at each start has to be given', () => {
    expect(faultOf(() => of({ port: 0 }))).toBe('listen.port is 0, a free port at each start: give --mirror URL');
  });

  test('that nobody can write has to be given', () => {
    expect(faultOf(() => of({ host: 'not a host' }))).toContain('give --mirror URL');
  });
});
