// Which form a file has, and what becomes of what it names.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in these files look like this
import { describe, expect, test } from 'vitest';
import { readImageList } from '../../../src/cli/image-list/image-list.ts';

const digest = `sha256:${'a'.repeat(64)}`;

function images(text: string, name = '-'): string[] {
  return readImageList(text, { name, env: {} }).images.map(({ image }) => image);
}

describe('the form', () => {
  const dockerfile = 'FROM alpine:3.20\n';
  const compose = 'services:\n  web:\n    image: nginx:1.27\n';
  const manifest = 'kind: Pod\nspec:\n  containers:\n  - image: redis:7\n';

  test.each([
    ['Dockerfile', dockerfile],
    ['Dockerfile.dev', dockerfile],
    ['deploy/app.dockerfile', dockerfile],
    ['Containerfile', dockerfile],
    ['-', dockerfile],
    ['-', `# syntax=alpine:3.20\n\n  # a comment\nARG A=1\nfrom alpine:3.20\n`],
    ['-', `\n\n  # FROM x\n\targ FROM=1\n \n\tFROM\talpine:3.20`],
  ])('of %j is a Dockerfile', (name, text) => {
    expect(images(text, name)).toEqual(['alpine:3.20']);
  });

  test.each([
    ['compose.yaml', compose],
    ['other.yml', compose],
    ['-', compose],
    ['-', `# ours\nname: app\n${compose}`],
    ['compose.json', '{"services": {"web": {"image": "nginx:1.27"}}}'],
    ['-', '{"services": {"web": {"image": "nginx:1.27"}}}'],
  ])('of %j is a compose file', (name, text) => {
    expect(images(text, name)).toEqual(['nginx:1.27']);
  });

  test.each([
    ['pod.yaml', manifest],
    ['-', manifest],
    ['-', `---\n${manifest}`],
    ['-', `# ours\napiVersion: v1\n${manifest}`],
    ['-', '{"kind": "Pod", "spec": {"containers": [{"image": "redis:7"}]}}'],
  ])('of %j is Kubernetes', (name, text) => {
    expect(images(text, name)).toEqual(['redis:7']);
  });

  test.each([
    ['-', 'nginx:1.27\n'],
    ['images.txt', `# ours\n\nnginx:1.27   # the web\r\n  ghcr.io/a/b@${digest}`],
    ['from', 'from/scratch\n'],
    ['-', '\uFEFFnginx:1.27'],
  ])('of %j is a list', (name, text) => {
    expect(images(text, name)[0]).toMatch(/^nginx:1\.27$|^from\/scratch$/);
  });
});

test.each([
  ['blank lines', '\n'.repeat(28), 1],
  ['many blank lines', '\n'.repeat(150_000), 1],
  ['many lines of another kind', ' \r'.repeat(150_000), 1],
  ['comments within comments', `${' #'.repeat(150_000)}\u2028`, 0],
])('%s before an image take no time', (_what, text, count) => {
  const startedAt = performance.now();
  expect(images(`${text}redis:7\n`)).toHaveLength(count);
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test('a list has an image a line', () => {
  expect(
    images(`# ours\n\nnginx:1.27   # the web\r\n  ghcr.io/a/b@${digest}\nlocalhost:5000/x#y\n`.replace('#y', '')),
  ).toEqual(['nginx:1.27', `ghcr.io/a/b@${digest}`, 'localhost:5000/x']);
});

test.each([
  ['nginx\nnginx redis\n', 'line 2: "nginx redis" is not an image'],
  ['\n# x\nnginx:\n', 'line 3: "nginx:" is not an image: not a tag: ""'],
  ['nginx@sha256:1', 'line 1: "nginx@sha256:1" is not an image: not a sha256 or sha512 digest: "sha256:1"'],
  ['\u001b[31mred', 'line 1: "\\u001b[31mred" is not an image'],
  [`a${'b'.repeat(200)} c`, `line 1: "a${'b'.repeat(99)}…" is not an image`],
])('a list with %j is refused, with the line', (text, message) => {
  expect(() => images(text)).toThrow(new Error(message));
});

test('an image that is named twice is there once, unless for another platform', () => {
  const text = 'services:\n  a: {image: x}\n  b: {image: x}\n  c: {image: x, platform: linux/arm64}\n';
  expect(readImageList(text, { name: '-', env: {} }).images).toEqual([
    { image: 'x', platform: undefined, where: 'services.b' },
    { image: 'x', platform: 'linux/arm64', where: 'services.c' },
  ]);
});

test('what is no image elsewhere is left out, and said', () => {
  const text =
    'kind: Pod\nspec: {containers: [{image: "{{ .Values.image }}"}, {image: "A B"}, {image: "x:${TAG}"}, {image: ok}]}';
  expect(readImageList(text, { name: '-', env: {} })).toEqual({
    images: [{ image: 'ok', where: 'document 1' }],
    leftOut: [
      'document 1: "{{ .Values.image }}" is a template; render it first',
      'document 1: "A B" is not an image',
      'document 1: "x:${TAG}" is not an image',
    ],
  });
});

test('a list of more images than anybody has is refused', () => {
  const text = Array.from({ length: 10_001 }, (_, index) => `image${index}`).join('\n');
  expect(() => images(text)).toThrow('it names more than 10000 images; split it');
});
