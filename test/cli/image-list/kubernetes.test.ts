// The images of Kubernetes manifests, wherever they stand in them.
import { expect, test } from 'vitest';
import { imagesOfKubernetes } from '../../../src/cli/image-list/kubernetes.ts';
import { readYaml } from '../../../src/cli/image-list/yaml-documents.ts';

function images(text: string): string[] {
  return imagesOfKubernetes(readYaml(text)).images.map(({ where, image }) => `${where}: ${image}`);
}

test('finds every kind of container and image volumes, in every document', () => {
  expect(
    images(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: a, image: "a:1"}
      - {name: sidecar, image: "b:1"}
      initContainers:
      - {name: i, image: "i:1"}
      volumes:
      - {name: data, image: {reference: "quay.io/v:1"}}
      - {name: tmp, emptyDir: {}}
---
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "c:1"}], ephemeralContainers: [{image: "e:1"}]}}}}}
`),
  ).toEqual([
    'Deployment web: i:1',
    'Deployment web: a:1',
    'Deployment web: b:1',
    'Deployment web: quay.io/v:1',
    'CronJob nightly: c:1',
    'CronJob nightly: e:1',
  ]);
});

test('finds those of lists, and of kinds nobody has heard of', () => {
  const pod = (name: string) =>
    `{"kind": "Pod", "metadata": {"name": "${name}"}, "spec": {"containers": [{"image": "${name}:1"}]}}`;
  expect(images(`{"kind": "List", "items": [${pod('a')}, ${pod('b')}]}`)).toEqual(['Pod a: a:1', 'Pod b: b:1']);
  expect(images('spec: {deep: {containers: [{image: x}]}}')).toEqual(['document 1: x']);
});

test('passes over what only looks like a container', () => {
  expect(
    images('containers: 5\ninitContainers: [1, null, {}, {image: 7}]\nvolumes: [{image: x}, {image: null}]'),
  ).toEqual([]);
  expect(images('')).toEqual([]);
});

test('an alias is looked at once', () => {
  expect(images('a: &a {containers: [{image: x}]}\nb: *a\nc: [*a, *a]')).toEqual(['document 1: x']);
});

test.each([
  ['a: [1', /^line 1: not YAML: /],
  ['kind: Pod\nspec:\n\tcontainers: []', /^line 3: not YAML: /],
  ['a: 1\n---\nb: 1\nc: {{ x }} y\n', /^line 4: not YAML: /],
  ['a: *gone', /^not YAML: Unresolved alias/],
  [`a: ${'['.repeat(100_000)}`, 'it is nested too deeply'],
  [
    ['a0: &a0 [x]', ...Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`)].join(
      '\n',
    ),
    /^not YAML: Excessive alias count/,
  ],
])('what is no YAML is refused in one line: %#', (text, message) => {
  expect(() => images(text)).toThrow(message);
});
