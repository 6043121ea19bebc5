// STILLWATER_* variables as overrides of keys.
import { describe, expect, test } from 'vitest';
import { readEnvironment, variableName } from '../../src/config/environment.ts';
import { faultOf, load } from './config-files.ts';

test.each([
  [['cache', 'maxSize'], 'STILLWATER_CACHE__MAX_SIZE'],
  [['listen', 'tls', 'clientCaFile'], 'STILLWATER_LISTEN__TLS__CLIENT_CA_FILE'],
  [['upstreams', 'registry.k8s.io', 'rate'], 'STILLWATER_UPSTREAMS__REGISTRY_K8S_IO__RATE'],
])('%j is %s', (path, name) => {
  expect(variableName(path)).toBe(name);
});

describe('a variable', () => {
  test('takes the type of its key', () => {
    const env = {
      STILLWATER_CACHE__MAX_SIZE: '20GiB',
      STILLWATER_CACHE__MIN_FREE: '1024',
      STILLWATER_CACHE__SIBLINGS: 'false',
      STILLWATER_CACHE__DIR: '7',
      STILLWATER_TAGS__TTL: '1500',
      STILLWATER_ADMIN: 'null',
    };
    const { config } = load({}, { env });
    expect(config.cache).toMatchObject({
      maxSize: { bytes: 20 * 1024 ** 3 },
      minFree: { bytes: 1024 },
      siblings: false,
      dir: '7',
    });
    expect([config.tags.ttl, config.admin]).toEqual([1500, null]);
  });

  test('reaches into an upstream, built in or of the file', () => {
    const env = {
      STILLWATER_UPSTREAMS__DOCKER_IO__CREDENTIALS__USERNAME: 'me',
      STILLWATER_UPSTREAMS__DOCKER_IO__CREDENTIALS__PASSWORD: '0123',
      STILLWATER_UPSTREAMS__DOCKER_IO__VISIBILITY: 'public',
      STILLWATER_UPSTREAMS__REG_EXAMPLE_5000__CONNECTIONS: '3',
    };
    const { upstreams } = load({ upstreams: { 'reg.example:5000': {} } }, { env }).config;
    expect(upstreams['docker.io']?.credentials).toEqual({ username: 'me', password: '0123' });
    expect(upstreams['reg.example:5000']?.connections).toBe(3);
  });

  test('counts as not set when it is empty', () => {
    expect(load({}, { env: { STILLWATER_LISTEN__PORT: '', STILLWATER_CONFIG: '' } }).config.listen.port).toBe(5000);
  });

  test.each([
    [
      'STILLWATER_CACHE__MAXSIZE',
      'STILLWATER_CACHE__MAXSIZE is not a known variable; did you mean STILLWATER_CACHE__MAX_SIZE?',
    ],
    [
      'STILLWATER_NOTHING_LIKE_IT',
      'STILLWATER_NOTHING_LIKE_IT is not a known variable; see the keys in config.example.json',
    ],
    [
      'STILLWATER_UPSTREAMS__QUAY_IO__ENDPOINTS',
      'STILLWATER_UPSTREAMS__QUAY_IO__ENDPOINTS: upstreams.quay.io.endpoints holds more than one value: set it in the file',
    ],
    ['STILLWATER_CACHE', 'STILLWATER_CACHE: cache holds more than one value: set it in the file'],
  ])('%s is refused', (name, message) => {
    expect(faultOf(() => load({}, { env: { [name]: 'x' } }))).toBe(message);
  });

  test('is refused when it could mean two upstreams', () => {
    const { problems } = readEnvironment({ STILLWATER_UPSTREAMS__A_B__CONNECTIONS: '1' }, ['a.b', 'a-b']);
    expect(problems).toEqual([
      'STILLWATER_UPSTREAMS__A_B__CONNECTIONS is both upstreams.a.b.connections and upstreams.a-b.connections: set it in the file',
    ]);
  });

  test('is passed over when it is how Kubernetes tells of a Service called stillwater', () => {
    const env = {
      STILLWATER_SERVICE_HOST: '10.0.0.1',
      STILLWATER_SERVICE_PORT: '5000',
      STILLWATER_SERVICE_PORT_REGISTRY: '5000',
      STILLWATER_PORT: 'tcp://10.0.0.1:5000',
      STILLWATER_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      STILLWATER_PORT_5000_TCP_ADDR: '10.0.0.1',
      STILLWATER_ADMIN_PORT: 'tcp://10.0.0.1:5001',
    };
    expect(readEnvironment(env, [])).toEqual({ overrides: [], problems: [] });
  });
});
