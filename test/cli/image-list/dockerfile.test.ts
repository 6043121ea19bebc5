// What a build of a Dockerfile would pull.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in these files look like this
import { describe, expect, test } from 'vitest';
import { imagesOfDockerfile } from '../../../src/cli/image-list/dockerfile.ts';

function images(...lines: string[]): string[] {
  return imagesOfDockerfile(lines.join('\n')).images.map(({ image }) => image);
}

test('names bases once they are no stages, sources of COPY and RUN, and the syntax', () => {
  expect(
    images(
      '# syntax=docker/dockerfile:1.7',
      'FROM golang:1.22 AS Build',
      'RUN --mount=type=cache,target=/c --mount=type=bind,from=ghcr.io/a/tools:1,source=/t go build',
      'FROM build AS again',
      'COPY --from=again --chown=1 /a /b',
      'COPY --from=0 /a /b',
      'COPY --link --from=nginx:1.27 ["/a", "/b"]',
      'COPY /a /b',
      'RUN --mount=from=BUILD,target=/x true',
      'FROM scratch',
      'COPY --from=BUILD /a /b',
    ),
  ).toEqual(['docker/dockerfile:1.7', 'golang:1.22', 'ghcr.io/a/tools:1', 'nginx:1.27']);
});

test('a stage is one only below its FROM', () => {
  expect(images('FROM alpine AS alpine', 'FROM alpine')).toEqual(['alpine']);
});

test('follows line continuations, another escape, quotes, small letters and here-documents', () => {
  expect(images('# escape=`', 'from `', '  "a:1" as x', 'RUN <<END', 'FROM evil', 'END', 'fROM b:2')).toEqual([
    'a:1',
    'b:2',
  ]);
});

describe('variables', () => {
  test('have the defaults of ARG before the first FROM', () => {
    expect(
      images(
        'ARG VERSION=3.20 REPO="my/repo"',
        'ARG FULL=$REPO:${VERSION}',
        'ARG EMPTY=',
        'FROM alpine:${VERSION} AS a',
        'FROM $FULL',
        'FROM x:${GONE:-1}',
        'FROM y:${EMPTY:-2}',
        'FROM z${EMPTY-3}:${VERSION:+set}',
      ),
    ).toEqual(['alpine:3.20', 'my/repo:3.20', 'x:1', 'y:2', 'z:set']);
  });

  test('of a stage are not those of FROM', () => {
    const { images, leftOut } = imagesOfDockerfile('FROM a\nARG TAG=1\nFROM b:${TAG}\n');
    expect(images).toEqual([{ image: 'a', where: 'line 1', platform: undefined }]);
    expect(leftOut).toEqual(['line 3: b:${TAG}: TAG has no default']);
  });

  test('without a default leave their image out', () => {
    expect(imagesOfDockerfile('ARG BASE\nARG MORE=$BASE\nFROM $BASE\nFROM ${MORE}\nFROM c:${A#b}').leftOut).toEqual([
      'line 3: $BASE: BASE has no default',
      'line 4: ${MORE}: MORE has no default',
      'line 5: c:${A#b}: ${A#b} has no default',
    ]);
  });

  test('are unset again by a default that has no value', () => {
    expect(imagesOfDockerfile('ARG A=1\nARG A=$GONE\nFROM x:$A').leftOut).toEqual(['line 3: x:$A: A has no default']);
  });

  test('that grow with each line end where no image is as long', () => {
    const lines = Array.from({ length: 40 }, (_, n) => `ARG A${n + 1}=${`$A${n}`.repeat(50)}`);
    const { images, leftOut } = imagesOfDockerfile(['ARG A0=aa', ...lines, 'FROM $A40', 'FROM b'].join('\n'));
    expect(images.map(({ image }) => image)).toEqual(['b']);
    expect(leftOut).toEqual(['line 42: $A40: A40 has no default']);
  });

  test('that choose a stage by its platform name no image', () => {
    const text =
      'FROM a AS base-amd64\nFROM b AS base-arm64\nFROM base-${TARGETARCH}\nFROM other-$TARGETARCH\nFROM base-$MINE';
    expect(imagesOfDockerfile(text).leftOut).toEqual([
      'line 4: other-$TARGETARCH: TARGETARCH has no default',
      'line 5: base-$MINE: MINE has no default',
    ]);
  });
});

test.each([
  ['linux/arm64', 'linux/arm64'],
  ['$BUILDPLATFORM', undefined],
  ['${TARGETPLATFORM}', undefined],
  ['$MINE', 'linux/s390x'],
])('--platform=%s is %s', (given, platform) => {
  const { images } = imagesOfDockerfile(`ARG MINE=linux/s390x\nFROM --platform=${given} a`);
  expect(images).toEqual([{ image: 'a', where: 'line 2', platform }]);
});

test.each([
  ['FROM a\nFROM\n', 'line 2: FROM names no image'],
  ['RUN true\n', 'a Dockerfile without FROM names no image'],
  ['', 'a Dockerfile without FROM names no image'],
  [`#${' '.repeat(1024 * 1024)}`, 'it is larger than any Dockerfile that people wrote'],
])('%j is refused', (text, message) => {
  expect(() => imagesOfDockerfile(text)).toThrow(new Error(message));
});
