// The images of a compose file, with its variables.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in these files look like this
import { expect, test } from 'vitest';
import { readImageList } from '../../../src/cli/image-list/image-list.ts';

function read(lines: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return readImageList(lines.join('\n'), { name: 'compose.yaml', env });
}

function imageOf(text: string, env: Readonly<Record<string, string>> = {}): string | undefined {
  const { images, leftOut } = read(['services:', `  web: {image: '${text}'}`], env);
  return images[0]?.image ?? leftOut[0];
}

test('names the images of services, also those that come by an anchor', () => {
  const found = read([
    'x-base: &base',
    '  image: nginx:1.27',
    '  platform: linux/arm64',
    'services:',
    '  web:',
    '    <<: *base',
    '  db: {image: "postgres:17"}',
    '  worker: {command: run}',
    '  app: {image: mine, build: .}',
    'include: [other.yaml]',
  ]);
  expect(found).toEqual({
    images: [
      { image: 'nginx:1.27', platform: 'linux/arm64', where: 'services.web' },
      { image: 'postgres:17', platform: undefined, where: 'services.db' },
    ],
    leftOut: ['services.app: its image is built, not pulled', 'include: other files are not followed; name them too'],
  });
});

test.each([
  ['a:$TAG', 'a:1'],
  ['a:${TAG}', 'a:1'],
  ['a:${TAG:-2}', 'a:1'],
  ['a:${GONE:-2}', 'a:2'],
  ['a:${GONE-2}', 'a:2'],
  ['a:x${EMPTY-2}', 'a:x'],
  ['a:${EMPTY:-2}', 'a:2'],
  ['a:x${TAG:+y}', 'a:xy'],
  ['a:x${EMPTY:+y}', 'a:x'],
  ['a:x${EMPTY+y}', 'a:xy'],
  ['a:x${GONE+y}', 'a:x'],
  ['a:${TAG:?needed}', 'a:1'],
  ['${GONE:-${ALSO:-b:${TAG}}}', 'b:1'],
  ['a:x${EMPTY}', 'a:x'],
  ['a:${GONE}', 'services.web: GONE is not set'],
  ['a:$GONE', 'services.web: GONE is not set'],
  ['$GONE/a:${OTHER}', 'services.web: GONE and OTHER is not set'],
  ['a:${GONE:?say which}', 'services.web: GONE (say which) is not set'],
  ['a:${EMPTY:?}', 'services.web: EMPTY is not set'],
  ['a:${EMPTY?x}y', 'a:y'],
  ['a:${1x}', 'services.web: ${1x} is not set'],
  ['a:$$TAG', 'services.web: "a:$TAG" is not an image'],
  ['a:${TAG', 'services.web: "a:${TAG" is not an image'],
  ['a:$', 'services.web: "a:$" is not an image'],
])('%s is %s', (text, image) => {
  expect(imageOf(text, { TAG: '1', EMPTY: '' })).toBe(image);
});

test('a platform may hold variables too', () => {
  const lines = ['services:', "  web: {image: a, platform: '${P:-linux/arm64}'}", "  db: {image: b, platform: '$Q'}"];
  expect(read(lines)).toEqual({
    images: [{ image: 'a', platform: 'linux/arm64', where: 'services.web' }],
    leftOut: ['services.db: Q is not set'],
  });
});

test('a text that nobody would write is left out rather than expanded', () => {
  expect(imageOf('${A:-'.repeat(2000) + '}'.repeat(2000))).toBe('services.web: a text of this length is not set');
  expect(imageOf('$A$A', { A: 'a'.repeat(4000) })).toBe('services.web: a text of this length is not set');
  expect(imageOf('$A'.repeat(2000), { A: 'a'.repeat(400_000) })).toBe('services.web: a text of this length is not set');
});

test.each([
  [['services:', '  web: [1]'], 'services.web: not a service: it has no keys'],
  [['services:', '  web: {image: 1}'], 'services.web.image: not a text'],
  [['services:', '  web:', '   image: a', '  - b'], /^line 4: not YAML: /],
  [['services: {web: {image: a}}', 'services: {}'], 'line 2: not YAML: Map keys must be unique'],
])('%j is refused', (lines, message) => {
  expect(() => read(lines)).toThrow(message);
});
