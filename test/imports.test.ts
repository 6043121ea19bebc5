// The floors of the house: imports go to lower floors only, and each outside library has its rooms.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const floorOf: Readonly<Record<string, number>> = {
  'main.ts': 7,
  cli: 7,
  'app.ts': 6,
  'open-admin.ts': 5.5,
  'open-serving.ts': 5,
  'follow-key-pair.ts': 5,
  'reload.ts': 5,
  'open-cache.ts': 4,
  'open-access.ts': 4,
  'open-upstreams.ts': 4,
  http: 4,
  admin: 4,
  jobs: 3,
  archive: 3,
  mirror: 2,
  store: 1,
  upstream: 1,
  access: 1,
  config: 1,
  oci: 0,
  observe: 0,
  'version.ts': 0,
};

/** Who may import what comes from outside; everything else is free for all. */
const ownersOf: Readonly<Record<string, readonly string[]>> = {
  hono: ['http', 'admin'],
  '@hono/node-server': ['http', 'admin'],
  undici: ['upstream'],
  jose: ['access'],
  '@node-rs/bcrypt': ['access'],
  koffi: ['http'],
  '@hono/zod-openapi': ['admin'],
  'tar-stream': ['archive'],
  croner: ['jobs', 'config'],
  yaml: ['cli'],
  'dockerfile-ast': ['cli'],
  'log-update': ['cli'],
  '@opentelemetry/api': ['observe'],
  '@opentelemetry/sdk-trace': ['observe'],
  '@opentelemetry/resources': ['observe'],
  '@opentelemetry/exporter-trace-otlp-http': ['observe'],
};

/** Whoever is not here takes a small options object of its own instead of the configuration. */
const readersOfConfig: readonly string[] = [
  'app.ts',
  'open-admin.ts',
  'follow-key-pair.ts',
  'open-serving.ts',
  'open-upstreams.ts',
  'reload.ts',
  'cli',
  'config',
];

/** Sideways or upward imports that are allowed all the same, as `importer -> imported`. There is none. */
const exceptions: readonly string[] = [];

const forbiddenName = /^(utils?|helpers?|common|types?|index)(\.[a-z.]+)?$/;
const importStatement =
  /(?:^|[;\n])\s*(?:import|export)\s[^'";]*?from\s*['"]([^'"]+)['"]|(?:^|[;\n])\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;

type Sources = Readonly<Record<string, string>>;

function specifiersOf(text: string): string[] {
  return [...text.matchAll(importStatement)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** One sentence for each broken rule; the paths are relative to src/. */
function violations(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of Object.entries(sources)) {
    const room = roomOf(path);
    for (const part of path.split('/')) if (forbiddenName.test(part)) found.push(`${path}: a name that says nothing`);
    if (floorOf[room] === undefined) found.push(`${path}: on no floor`);
    for (const specifier of specifiersOf(text)) {
      const problem = specifier.startsWith('.') ? insideProblem(path, specifier) : outsideProblem(room, specifier);
      if (problem !== undefined) found.push(`${path} -> ${specifier}: ${problem}`);
    }
  }
  return found;
}

function insideProblem(path: string, specifier: string): string | undefined {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  const [room, other] = [roomOf(path), roomOf(target)];
  if (exceptions.includes(`${path} -> ${target}`)) return undefined;
  if (other === 'config' && !readersOfConfig.includes(room)) return 'the configuration is not for this room';
  if (room === other) return undefined;
  const [from, to] = [floorOf[room] ?? -1, floorOf[other]];
  if (to === undefined) return 'on no floor';
  // main.ts is the front door of cli/.
  if (room === 'main.ts' && other === 'cli') return undefined;
  if (to > from) return 'upwards';
  return to === from ? 'sideways' : undefined;
}

function outsideProblem(room: string, specifier: string): string | undefined {
  const owners = ownersOf[packageOf(specifier)];
  return owners && !owners.includes(room) ? `only ${owners.join(' and ')} may` : undefined;
}

function readSources(root: string): Sources {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(root, name), 'utf8')]));
}

const root = join(import.meta.dirname, '..');

describe('the sources', () => {
  const sources = readSources(join(root, 'src'));

  test('import lower floors only, and outside libraries where they belong', () => {
    expect(violations(sources)).toEqual([]);
  });

  test('are read whole: their imports are found', () => {
    const count = (path: string) => specifiersOf(sources[path] ?? '').length;
    expect(Object.keys(sources).length).toBeGreaterThan(50);
    expect(count('open-cache.ts')).toBeGreaterThan(15);
    for (const [path, text] of Object.entries(sources))
      expect(`${path} ${count(path)}`).toBe(
        `${path} ${text.match(/^\} from '|^(im|ex)port .* from '|\bimport\('/gm)?.length ?? 0}`,
      );
  });
});

test('no test file has a name that says nothing', () => {
  const names = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  expect(names.filter((name) => forbiddenName.test(basename(name)))).toEqual([]);
});

describe('the checker finds', () => {
  test.each([
    ['an import upwards', 'mirror/a.ts', "import { b } from '../http/b.ts';", 'upwards'],
    ['a type imported upwards', 'store/a.ts', "import type { B } from '../mirror/b.ts';", 'upwards'],
    ['an import over several lines', 'oci/a.ts', "import {\n  b,\n  type C,\n} from '../store/b.ts';", 'upwards'],
    ['a dynamic import upwards', 'mirror/a.ts', "const b = await import('../admin/b.ts');", 'upwards'],
    ['an export from above', 'oci/a.ts', "export { b } from '../store/b.ts';", 'upwards'],
    ['an export of everything from above', 'oci/a.ts', "export * from '../store/b.ts';", 'upwards'],
    ['an import for its effect', 'oci/a.ts', "import '../store/b.ts';", 'upwards'],
    ['an import of the composition root', 'http/a.ts', "import { startApp } from '../app.ts';", 'upwards'],
    ['the second of two on one line', 'oci/a.ts', "import 'node:fs'; import { b } from '../store/b.ts';", 'upwards'],
    ['two ends that know each other', 'store/a.ts', "import { b } from '../upstream/b.ts';", 'sideways'],
    ['two doors that know each other', 'admin/a.ts', "import { b } from '../http/b.ts';", 'sideways'],
    ['a deeper folder that does not hide', 'oci/deep/a.ts', "import { b } from '../../observe/b.ts';", 'sideways'],
    ['hono out of its rooms', 'mirror/a.ts', "import { Hono } from 'hono';", 'only http and admin may'],
    ['a part of hono', 'app.ts', "import { serve } from '@hono/node-server/serve';", 'only http and admin may'],
    ['undici out of its room', 'http/a.ts', "import { request } from 'undici';", 'only upstream may'],
    [
      'configuration in a lower room',
      'mirror/a.ts',
      "import type { C } from '../config/schema.ts';",
      'not for this room',
    ],
    ['configuration in a door', 'http/a.ts', "import type { C } from '../config/schema.ts';", 'not for this room'],
    ['a file outside of the rooms', 'mirror/a.ts', "import { b } from '../stray.ts';", 'on no floor'],
    ['a room without a floor', 'lib/a.ts', '', 'on no floor'],
    ['a file called utils', 'store/utils.ts', '', 'says nothing'],
    ['a folder called helpers', 'store/helpers/a.ts', '', 'says nothing'],
    ['a file called index', 'store/index.ts', '', 'says nothing'],
    ['a file called types', 'store/types.d.ts', '', 'says nothing'],
  ])('%s', (_what, path, text, problem) => {
    expect(violations({ [path]: text }).join('\n')).toContain(problem);
  });

  test('nothing wrong with imports that go down or stay in their folder', () => {
    const sources = {
      'mirror/a.ts': "import type { Source } from '../upstream/upstreams.ts';\nimport { b } from './b.ts';",
      'app.ts': "import type { Config } from './config/schema.ts';\nimport { b } from './http/b.ts';",
      'main.ts': "import { runCli } from './cli/cli.ts';",
      'http/a.ts': "import { Hono } from 'hono';\nimport type { Digest } from '../oci/digest.ts';",
    };
    expect(violations(sources)).toEqual([]);
  });
});
