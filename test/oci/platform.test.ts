// Platforms as people, indexes and configs write them, and which of them are the same.
import { describe, expect, test } from 'vitest';
import { formatPlatform, hostPlatform, isSamePlatform, parsePlatform, platformOf } from '../../src/oci/platform.ts';

const parsed = (text: string) => {
  const platform = parsePlatform(text);
  if (!platform) throw new Error(`no platform: ${text}`);
  return platform;
};

describe('a platform', () => {
  test.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['windows/amd64', 'windows/amd64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/x86-64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/armhf/v6', 'linux/arm/v6'],
    ['linux/i386', 'linux/386'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/arm64/8', 'linux/arm64/v8'],
    ['linux/riscv64/7', 'linux/riscv64/7'],
    ['macos/arm64', 'darwin/arm64'],
    ['linux/constructor', 'linux/constructor'],
  ])('%s is %s', (text, written) => {
    expect(formatPlatform(parsed(text))).toBe(written);
    expect(parsePlatform(written)).toEqual(parsePlatform(text));
  });

  test.each([
    '',
    'linux',
    'amd64',
    'linux/',
    '/amd64',
    'linux/arm/v7/x',
    'linux amd64',
    'linux/a b',
    'unknown/unknown',
  ])('is not %j', (text) => {
    expect(parsePlatform(text)).toBeUndefined();
  });

  test.each([
    ['linux/arm64', 'linux/arm64/v8'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/amd64', 'linux/amd64/v1'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/s390x', 'linux/s390x'],
  ])('%s is the same as %s, either way round', (one, other) => {
    expect(isSamePlatform(parsed(one), parsed(other))).toBe(true);
    expect(isSamePlatform(parsed(other), parsed(one))).toBe(true);
  });

  test.each([
    ['linux/amd64', 'linux/arm64'],
    ['linux/amd64', 'windows/amd64'],
    ['linux/arm', 'linux/arm/v6'],
    ['linux/arm64', 'linux/arm64/v9'],
    ['linux/amd64', 'linux/amd64/v3'],
    ['linux/riscv64', 'linux/riscv64/v1'],
  ])('%s is not the same as %s, either way round', (one, other) => {
    expect(isSamePlatform(parsed(one), parsed(other))).toBe(false);
    expect(isSamePlatform(parsed(other), parsed(one))).toBe(false);
  });
});

describe('what an index or a config says', () => {
  test('is a platform with or without its variant, whatever else it says', () => {
    const more = { 'os.version': '10.0.20348.2', rootfs: {} };
    expect(platformOf({ os: 'linux', architecture: 'arm', variant: 'v6', ...more })).toEqual(parsed('linux/arm/v6'));
    expect(platformOf({ os: 'linux', architecture: 'amd64', variant: '', ...more })).toEqual(parsed('linux/amd64'));
  });

  test.each([
    undefined,
    null,
    7,
    'linux/amd64',
    [],
    {},
    { os: 'linux' },
    { architecture: 'amd64' },
    { os: 'linux', architecture: 7 },
    { os: 'linux', architecture: '' },
    { os: 'unknown', architecture: 'unknown' },
  ])('is none when it is %j', (value) => {
    expect(platformOf(value)).toBeUndefined();
  });
});

test.each([
  ['x64', 'linux/amd64'],
  ['arm64', 'linux/arm64'],
  ['arm', 'linux/arm'],
  ['ia32', 'linux/386'],
  ['ppc64', 'linux/ppc64le'],
  ['s390x', 'linux/s390x'],
])('a machine that node calls %s runs %s', (architecture, platform) => {
  expect(formatPlatform(hostPlatform(architecture))).toBe(platform);
});
