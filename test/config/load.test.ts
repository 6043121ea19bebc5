// Which value wins, what references become, and what is said of values that cannot be used.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references in a configuration look like this
import { describe, expect, test } from 'vitest';
import { defaultConfig, loadConfig } from '../../src/config/load.ts';
import { printableConfig } from '../../src/config/printable.ts';
import { directoryWith, faultOf, load } from './config-files.ts';

const port = (text: string) => ({ origin: '--port', path: ['listen', 'port'], text });

describe('precedence', () => {
  test('takes the defaults when there is no file', () => {
    const { config, file } = loadConfig({ cwd: directoryWith({}), env: {} });
    expect(config).toEqual(defaultConfig());
    expect(config).toMatchObject({
      listen: { host: '0.0.0.0', port: 5000, maxConnections: 10_000 },
      cache: { dir: './cache', maxSize: { share: 0.8 }, minFree: { bytes: 2 * 1024 ** 3 }, maxFills: 64 },
      tags: { ttl: 300_000, staleIfError: 2_592_000_000, revalidateTimeout: 2000 },
    });
    expect(file).toBeUndefined();
  });

  test('lets a flag beat the environment, and the environment the file', () => {
    const cwd = directoryWith({ 'config.json': { listen: { port: 1, host: '::1' }, cache: { maxFills: 2 } } });
    const env = { STILLWATER_LISTEN__PORT: '3', STILLWATER_CACHE__MAX_FILLS: '4' };
    const { config } = loadConfig({ cwd, env, flags: [port('5')] });
    expect([config.listen.port, config.listen.host, config.cache.maxFills]).toEqual([5, '::1', 4]);
  });

  test('lets --config beat STILLWATER_CONFIG, and that beat config.json', () => {
    const at = (port: number) => ({ listen: { port } });
    const cwd = directoryWith({ 'config.json': at(1), 'variable.json': at(2), 'flag.json': at(3) });
    const env = { STILLWATER_CONFIG: 'variable.json' };
    expect(loadConfig({ cwd, env: {} }).config.listen.port).toBe(1);
    expect(loadConfig({ cwd, env }).config.listen.port).toBe(2);
    expect(loadConfig({ cwd, env, file: 'flag.json' })).toMatchObject({ file: 'flag.json', config: at(3) });
  });

  test('logs in the pretty format on a terminal unless a format is given', () => {
    expect(load({}, { isTerminal: true }).config.log.format).toBe('pretty');
    expect(load({ log: { format: 'json' } }, { isTerminal: true }).config.log.format).toBe('json');
    expect(load({}).config.log.format).toBe('json');
  });

  test('admits $schema for editors and drops it', () => {
    expect(load({ $schema: './config.schema.json' }).config).toEqual(defaultConfig());
  });
});

describe('the file', () => {
  test.each([
    ['{"a": 1,}', 'config.json:1:8: not JSON: expected no comma before }'],
    [
      '{\n  "admin": {"token": "hunter2\n"}}',
      'config.json:2:30: not JSON: expected a double quote at the end of the text',
    ],
    ['[]', 'config.json: the configuration must be a JSON object, such as {}'],
  ])('is refused as %j', (content, message) => {
    expect(faultOf(() => load(content))).toBe(message);
  });

  test('may begin with a byte order mark', () => {
    expect(load('\uFEFF{"listen": {"port": 7}}').config.listen.port).toBe(7);
  });

  test('must be there if it is named', () => {
    const cwd = directoryWith({ 'folder/x': '' });
    const because = (file: string) => faultOf(() => loadConfig({ cwd, env: {}, file }));
    expect(because('gone.json')).toBe('cannot read the configuration file: gone.json: there is no such file');
    expect(because('folder')).toBe('cannot read the configuration file: folder: it is a directory');
    expect(faultOf(() => loadConfig({ cwd, env: { STILLWATER_CONFIG: 'gone.json' } }))).toContain('gone.json');
  });
});

describe('references', () => {
  test('are replaced by the variable and by the file without its last line end', () => {
    const cwd = directoryWith({
      'config.json': {
        cache: { dir: '/data/${env:NODE}/x' },
        listen: { host: '${file:host.txt}', port: '${env:PORT}' },
      },
      'host.txt': '127.0.0.1\n',
    });
    const { config } = loadConfig({ cwd, env: { NODE: 'a', PORT: '77' } });
    expect([config.cache.dir, config.listen.host, config.listen.port]).toEqual(['/data/a/x', '127.0.0.1', 77]);
  });

  test('work in the environment too', () => {
    const cwd = directoryWith({ 'dir.txt': '/srv' });
    const { config } = loadConfig({ cwd, env: { STILLWATER_CACHE__DIR: '${file:dir.txt}' } });
    expect(config.cache.dir).toBe('/srv');
  });

  test('are not looked for in what they are replaced by, nor behind a second dollar', () => {
    const env = { A: '${env:B}' };
    expect(load({ cache: { dir: '${env:A}' } }, { env }).config.cache.dir).toBe('${env:B}');
    expect(load({ cache: { dir: '$${env:A}' } }, { env }).config.cache.dir).toBe('${env:A}');
  });

  test('that lead nowhere are told with the key, once', () => {
    expect(faultOf(() => load({ listen: { port: '${env:NOPE}' }, cache: { dir: '${file:gone}' } }))).toBe(
      'config.json: listen.port: the environment variable NOPE is not set; ' +
        'config.json: cache.dir: cannot read the file gone: there is no such file',
    );
  });

  test('are not followed where a flag takes their place', () => {
    expect(load({ listen: { port: '${env:NOPE}' } }, { flags: [port('9')] }).config.listen.port).toBe(9);
  });
});

describe('unknown keys', () => {
  test.each([
    [{ cache: { maxsize: 1 } }, 'cache.maxsize is not a known key; did you mean cache.maxSize?'],
    [{ maxFills: 1 }, 'maxFills is not a known key; did you mean cache.maxFills?'],
    [{ log: { colour: 1 } }, 'log.colour is not a known key; known in log: level, format'],
    [
      { upstreams: { 'reg.example': { endpoint: 1 } } },
      'upstreams.reg.example.endpoint is not a known key; did you mean upstreams.reg.example.endpoints?',
    ],
    [
      { access: { rules: [{ effect: 'deny', principals: [], repositories: [], repos: [] }] } },
      'access.rules[0].repos is not a known key; known in access.rules[0]: effect, principals, repositories',
    ],
  ])('of %j are told with the nearest one', (content, message) => {
    expect(faultOf(() => load(content))).toBe(`config.json: ${message}`);
  });
});

describe('wrong values', () => {
  test.each([
    [{ listen: { port: '80a' } }, 'listen.port: found "80a", allowed is a whole number from 0 to 65535'],
    [{ listen: { port: 65_536 } }, 'listen.port: found 65536, allowed is a whole number from 0 to 65535'],
    [{ listen: 5000 }, 'listen: found 5000, allowed is an object'],
    [{ cache: { siblings: 'yes' } }, 'cache.siblings: found "yes", allowed is true or false'],
    [{ cache: { dir: '' } }, 'cache.dir: found "", allowed is a text that is not empty'],
    [{ cache: { minFree: [] } }, /^cache.minFree: found an empty list, allowed is a share of the disk such as "80%"/],
    [{ tags: { ttl: '5min' } }, /^tags.ttl: found "5min", allowed is a time such as .* \(units ms, s, m, h, d\)/],
    [{ tags: { revalidateTimeout: '2d' } }, /^tags.revalidateTimeout: found "2d", .* from 1ms to 1h$/],
    [
      { prefetch: { schedule: [{ cron: '0 3 * * *', images: [] }] } },
      'prefetch.schedule[0].images: found an empty list, allowed is a list of at least one image',
    ],
    [{ log: { format: 'xml' } }, 'log.format: found "xml", allowed is "json" or "pretty"'],
    [{ listen: { tls: { certFile: 'a' } } }, 'listen.tls.keyFile is missing: allowed is the path of a PEM file'],
    [{ listen: { trustedProxies: ['10.0.0.0/33'] } }, /^listen.trustedProxies\[0\]: found "10.0.0.0\/33"/],
    [
      { listen: { accel: '/blobs/' } },
      'listen.accel: found "/blobs/", allowed is a location only where listen.trustedProxies names the nginx that has it',
    ],
    [{ upstreams: { 'Docker.io': {} } }, /^upstreams.Docker.io: an upstream is named as in an image reference/],
    [
      { defaultUpstream: 'x.io' },
      /^defaultUpstream: found "x.io", allowed is one of the upstreams: docker.io, ghcr.io,/,
    ],
    [{ upstreams: { 'docker.io': null } }, /^defaultUpstream is missing: allowed is one of the upstreams: ghcr.io,/],
  ])('of %j are told with what is allowed', (content, message) => {
    const fault = faultOf(() => load(content));
    expect(fault.replace(/^config\.json: /, '')).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    );
    expect(fault).toMatch(/^config\.json: /);
  });

  test('are told by the flag or the variable that set them', () => {
    expect(faultOf(() => load({}, { flags: [port('x')] }))).toMatch(/^--port: listen\.port: found "x"/);
    expect(faultOf(() => load({}, { env: { STILLWATER_LISTEN__PORT: 'x' } }))).toMatch(
      /^STILLWATER_LISTEN__PORT: listen\.port: found "x"/,
    );
  });

  test('are all told at once, on one line', () => {
    const fault = faultOf(() => load({ listen: { port: -1 }, cach: {} }, { env: { STILLWATER_NOPE: '1' } }));
    expect(fault.split('; ')).toHaveLength(5);
    expect(fault).not.toContain('\n');
  });

  test.each([
    { admin: { token: ['hunter2'] } },
    { upstreams: { 'docker.io': { credentials: 'hunter2' } } },
    { upstreams: { 'docker.io': { credentials: { username: 'a', pasword: 'hunter2' } } } },
    { upstreams: { 'docker.io': { endpoints: ['https://me:hunter2@x.example'] } } },
    { upstreams: { 'docker.io': { endpoints: ['https://x.example?key=hunter2'] } } },
    { tier: { bucket: 'b', secretAccessKey: 5, prefix: ['hunter2'] } },
    { redis: { url: 'http://:hunter2@x.example' } },
    { listen: { port: '${env:SECRET}' } },
  ])('never bring a secret into the message: %j', (content) => {
    expect(faultOf(() => load(content, { env: { SECRET: 'hunter2' } }))).not.toContain('hunter2');
  });
});

describe('listen.accel', () => {
  const behindNginx = (accel: string) => ({ listen: { accel, trustedProxies: ['127.0.0.1'] } });

  test.each(['/stillwater-blobs/', '/a/b.c/_~9/', '/v2-blobs/', '/.../'])('takes %s', (accel) => {
    expect(load(behindNginx(accel)).config.listen.accel).toBe(accel);
  });

  test.each([
    '',
    '/',
    '//',
    'blobs/',
    '/blobs',
    '/a//b/',
    '/../',
    '/a/./',
    '/a b/',
    '/a%2f/',
    '/a?/',
    '/a\n/',
    '/v2/',
    '/v2/x/',
  ])('does not take %j', (accel) => {
    expect(faultOf(() => load(behindNginx(accel)))).toMatch(
      /^config\.json: listen\.accel: found "[^"]*", allowed is a path of letters, digits, /,
    );
  });
});

describe('upstreams', () => {
  test('keep the defaults of every key that is not given', () => {
    const { config } = load({
      upstreams: { 'docker.io': { connections: 8 }, 'reg.example:5000': { idleTimeout: '1s' } },
    });
    expect(config.upstreams['docker.io']).toMatchObject({
      endpoints: ['https://registry-1.docker.io'],
      connections: 8,
      idleTimeout: 30_000,
    });
    expect(config.upstreams['reg.example:5000']).toMatchObject({
      endpoints: ['https://reg.example:5000'],
      idleTimeout: 1000,
    });
    expect(Object.keys(config.upstreams)).toHaveLength(12);
  });

  test('are removed by null', () => {
    const { config } = load({ upstreams: { 'quay.io': null } });
    expect(config.upstreams).not.toHaveProperty(['quay.io']);
    expect(config.upstreams).toHaveProperty(['gcr.io']);
  });

  test('lose the slash at the end of an endpoint', () => {
    const { config } = load({ upstreams: { 'quay.io': { endpoints: ['http://10.0.0.1:80/quay/'] } } });
    expect(config.upstreams['quay.io']?.endpoints).toEqual(['http://10.0.0.1:80/quay']);
  });

  test.each([
    [{ endpoints: ['https://x.example'] }, 'upstreams.*.endpoints: found a list, allowed is none: each registry'],
    [
      { credentials: { username: 'u', password: 'hunter2' } },
      'upstreams.*.credentials: found a value not shown here, ',
    ],
    [{ allowPrivate: true }, 'upstreams.*.allowPrivate: found true, allowed is false: name a registry on a private'],
    [{ realms: ['x.example'] }, 'upstreams.*.realms: found a list, allowed is none: name the registry'],
  ])('for registries that nobody named do not take %j', (unlisted, problem) => {
    const fault = faultOf(() => load({ upstreams: { '*': unlisted } }));
    expect(fault).toContain(problem);
    expect(fault).not.toContain('hunter2');
  });

  test('that null takes out stay out of those that nobody named', () => {
    const { config } = load({ upstreams: { '*': {}, 'x.example': null, 'quay.io': null } });
    expect(config.upstreams['*']?.except).toEqual(['quay.io', 'x.example']);
    expect(config.upstreams).not.toHaveProperty('quay.io');
    expect(printableConfig(config).upstreams).toMatchObject({ 'x.example': null, 'quay.io': null });
  });

  test('that nobody named cannot be the default', () => {
    const fault = faultOf(() => load({ upstreams: { '*': {} }, defaultUpstream: '*' }));
    expect(fault).toMatch(/defaultUpstream: found "\*", allowed is one of the upstreams: docker.io, [^*]*$/);
  });

  test.each(['auth.example:443', 'https://auth.example', 'Auth.example', 'a b', ''])(
    'do not take %j for the host of a realm',
    (host) => {
      const fault = faultOf(() => load({ upstreams: { 'quay.io': { realms: [host] } } }));
      expect(fault).toContain('allowed is a lower-case host such as "auth.example.com"');
    },
  );

  test.each(['../evil', 'a b', '/bin/sh', 'a;b', ''])('do not take %j for a credential helper', (helper) => {
    expect(faultOf(() => load({ upstreams: { 'quay.io': { credentials: { helper } } } }))).toContain(
      'upstreams.quay.io.credentials',
    );
  });

  test.each(['ftp://x', 'x.example', 'https://', 'https://a b', 'https://u@x', 'https://x/#a', 'https://x/?a'])(
    'do not take %s as an endpoint',
    (endpoint) => {
      expect(faultOf(() => load({ upstreams: { 'quay.io': { endpoints: [endpoint] } } }))).toContain(
        'upstreams.quay.io.endpoints[0]: found',
      );
    },
  );
});
