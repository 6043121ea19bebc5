// configuration.md, made from the schema: `npm run docs` writes it, and a test holds the two together.
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { variableName } from '../src/config/environment.ts';
import { typesAt } from '../src/config/keys.ts';
import { defaultConfig } from '../src/config/load.ts';
import { restartKeys } from '../src/config/restart-keys.ts';
import { type Config, configSchema } from '../src/config/schema.ts';
import { findUnbuilt } from '../src/config/unbuilt.ts';
import { BYTES_FORMS, DURATION_FORMS } from '../src/config/units.ts';

type Shape = Readonly<Record<string, z.ZodType>>;

interface Key {
  /** `upstreams.NAME.endpoints`, `tags.rules[].ttl`. */
  readonly name: string;
  readonly schema: z.ZodType;
  /** What it is without its default, `null` and absence. */
  readonly bare: z.ZodType;
  /** As it would stand in the file; `undefined` where there is none. */
  readonly usual: unknown;
  readonly isNeeded: boolean;
}

export function configurationPage(): string {
  const sections = keysOf(configSchema.shape, '').filter(({ name }) => name !== '$schema');
  const single = sections.filter(({ bare }) => shapeOf(bare) === undefined);
  const grouped = sections.filter(({ bare }) => shapeOf(bare) !== undefined);
  const chapters = [
    ...grouped.map((key) => chapter(key.name, [whatFor(key), ...(notes[key.name] ?? [])], below(key))),
    chapter('other keys', [], single),
  ];
  return `${[introduction(), ...chapters].join('\n\n')}\n`;
}

function introduction(): string {
  const names = Object.entries(defaultConfig().upstreams).map(([name]) => `\`${name}\``);
  return `# Configuration

<!-- Made from the schema by npm run docs. -->

None is needed. What is given comes from \`--config FILE\`, else the file that \`STILLWATER_CONFIG\` names, else \`config.json\` in the
working directory. Variables of the environment beat the file; the flags of \`stillwater serve\` beat both.
[config.example.json](../config.example.json) holds every key that has a default, [config.schema.json](../config.schema.json) tells
editors. \`stillwater config check\` says what is wrong with a configuration, by key path; \`stillwater config print\` shows what is in
effect, secrets hidden. A key that is not known, or a value that is not allowed, stops the start with exit code 2.

**Variables.** Every key that holds one value has a variable, which stands below it: two underscores for each dot, one before each
capital. In an upstream's name what is no letter or digit becomes an underscore: \`STILLWATER_UPSTREAMS__DOCKER_IO__PARALLEL\`. An empty
variable counts as not set. Lists are set in the file. What is *needed* must be given wherever the section or the list that it stands in is.

**References.** Any text in the file may hold \`\${env:NAME}\` or \`\${file:PATH}\`, which is replaced by the variable or by what is in the file
without the line's end; \`$\${env:NAME}\` stays as \`\${env:NAME}\`. Paths that do not begin with a slash are looked for from the working directory.

**Reload.** A change of the file takes effect within a few seconds; \`stillwater reload\` and SIGHUP read it at once, and what its texts
refer to. A key that says *restart* keeps its value until there is one, and the log says so; all others change together. If anything is wrong,
nothing changes, and the log says what is.

## Sizes and times

A size is ${BYTES_FORMS.replace(/^a size such as/, 'written as')}.
A time is ${DURATION_FORMS.replace(/^a time such as/, 'written as')}.

## Built-in upstreams

${names.join(', ')}.`;
}

/** What the schema cannot say of a section. */
const notes: Readonly<Record<string, readonly string[]>> = {
  admin: [
    'On an address that is not loopback, `token` or the principal `admin` opens it ([access.md](access.md)); the probes are for everybody. To bring it or take it away (`null`) needs a restart.',
  ],
  upstreams: [
    'NAME is the registry as users write it in an image’s name. A key that is given for a built-in one changes only that. [upstreams.md](upstreams.md) explains each.',
  ],
  access: ['[access.md](access.md) explains each. The files are read again when they change.'],
};

function chapter(title: string, text: readonly string[], keys: readonly Key[]): string {
  const missing = keys.map(({ name }) => unbuilt.get(name) ?? unbuilt.get(name.replace(/\..*/, '')));
  const paragraphs = [...text, ...new Set(missing.filter((each) => each !== undefined))].filter((each) => each !== '');
  const rows = keys.map(
    (key) => `| ${[named(key), usual(key), allowed(key), whatFor(key), effect(key)].map(cell).join(' | ')} |`,
  );
  const head = ['| key and variable | default | allowed | what it does | takes effect |', '|---|---|---|---|---|'];
  return [`## ${title}`, ...paragraphs, [...head, ...rows].join('\n')].join('\n\n');
}

/** A section's keys; those of its sections and of the objects in its lists follow each. */
function below(key: Key): Key[] {
  const { shape, prefix } = shapeOf(key.bare) ?? { shape: {}, prefix: '' };
  return keysOf(shape, `${key.name}${prefix}.`).flatMap((each) =>
    shapeOf(each.bare) === undefined ? [each] : [...(isList(each) ? [each] : []), ...below(each)],
  );
}

function keysOf(shape: Shape, prefix: string): Key[] {
  return Object.entries(shape).map(([key, schema]) => ({ name: prefix + key, schema, ...peeled(schema) }));
}

function peeled(schema: z.ZodType): Pick<Key, 'bare' | 'usual' | 'isNeeded'> {
  let bare = schema;
  let usual: unknown;
  let isNeeded = true;
  while (bare instanceof z.ZodPrefault || bare instanceof z.ZodOptional || bare instanceof z.ZodNullable) {
    if (bare instanceof z.ZodPrefault) usual = bare.def.defaultValue;
    if (!(bare instanceof z.ZodNullable)) isNeeded = false;
    bare = bare.unwrap() as z.ZodType;
  }
  return { bare, usual, isNeeded };
}

function shapeOf(bare: z.ZodType): { readonly shape: Shape; readonly prefix: string } | undefined {
  if (bare instanceof z.ZodObject) return { shape: bare.shape, prefix: '' };
  if (bare instanceof z.ZodArray) {
    const inner = shapeOf(peeled(bare.element as z.ZodType).bare);
    return inner && { shape: inner.shape, prefix: '[]' };
  }
  if (bare instanceof z.ZodPipe && bare.in instanceof z.ZodRecord) {
    const inner = shapeOf(peeled(bare.in.valueType as z.ZodType).bare);
    return inner && { shape: inner.shape, prefix: '.NAME' };
  }
  return undefined;
}

function isList({ bare }: Key): boolean {
  return bare instanceof z.ZodArray;
}

function whatFor({ schema, bare }: Key): string {
  return schema.description ?? bare.description ?? '';
}

function named({ name }: Key): string {
  const path = name.split('.');
  // Any upstream has the same keys.
  const types = typesAt(path.map((part) => (part === 'NAME' ? 'docker.io' : part)));
  const isScalar = !name.includes('[]') && types.some((type) => !['object', 'array', 'null'].includes(type));
  return isScalar ? `\`${name}\`<br>\`${variableName(path)}\`` : `\`${name}\``;
}

function usual({ usual, isNeeded, name }: Key): string {
  if (usual !== undefined) return `\`${JSON.stringify(usual)}\``;
  return isNeeded ? '*needed*' : (otherDefaults[name] ?? '–');
}

/** Defaults that depend on something. */
const otherDefaults: Readonly<Record<string, string>> = {
  'upstreams.NAME.endpoints': '`["https://NAME"]`',
  'upstreams.NAME.allowPrivate': 'as the endpoint',
};

/** The error says it: whoever writes something else reads the same words. */
function allowed({ bare }: Key): string {
  const wrong = bare.safeParse(Symbol('nothing allows this')).error?.issues[0]?.message ?? '';
  return wrong
    .replaceAll(BYTES_FORMS, 'a [size](#sizes-and-times)')
    .replaceAll(DURATION_FORMS, 'a [time](#sizes-and-times)');
}

function effect({ name }: Key): string {
  const isFixed = restartKeys.some((fixed) => `${name}.`.startsWith(`${fixed}.`));
  return isFixed ? 'restart' : 'reload';
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** What this version refuses to be told, by key: found by telling it everything. */
const unbuilt = new Map(
  findUnbuilt(anything(configSchema.shape) as Config, defaultConfig()).map(({ path, message }) => [
    path.map(String).join('.'),
    `**${message}.**`,
  ]),
);

function anything(shape: Shape): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(shape).map(([key, schema]) => {
      const { bare } = peeled(schema);
      return [key, bare instanceof z.ZodObject ? anything(bare.shape) : 'something'];
    }),
  );
}

if (import.meta.main) writeFileSync(new URL('configuration.md', import.meta.url), configurationPage());
