// --platform and --all-platforms, as the commands that have them take them.
import type { Command } from 'commander';
import { formatPlatform, parsePlatform } from '../oci/platform.ts';

export interface PlatformFlags {
  readonly platform?: readonly string[];
  readonly allPlatforms?: boolean;
}

/** As the API has them; `undefined` where none was named. Ends the command for what is none. */
export function namedPlatforms({ platform, allPlatforms }: PlatformFlags, command: Command) {
  if (allPlatforms && platform) command.error('--platform and --all-platforms: give one of them');
  return platform?.map((text) => {
    const known = parsePlatform(text);
    const allowed = 'allowed is OS/ARCHITECTURE such as linux/arm64';
    return known ? formatPlatform(known) : command.error(`--platform: found ${JSON.stringify(text)}, ${allowed}`);
  });
}

/** For an option that may be repeated. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
