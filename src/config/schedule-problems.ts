// What a scheduled prefetch says that could never be done: found when the configuration is read, not at three at night.
import { Cron } from 'croner';
import { parseImageName } from '../oci/image-name.ts';
import { parsePlatform } from '../oci/platform.ts';
import { isRepositoryPath } from '../oci/repository.ts';

export interface ScheduleProblem {
  readonly path: (string | number)[];
  readonly allowed: string;
}

interface Given {
  readonly prefetch: {
    readonly schedule: readonly {
      readonly cron: string;
      readonly images: readonly string[];
      readonly platforms?: readonly string[] | undefined;
    }[];
  };
  readonly upstreams: Readonly<Record<string, unknown>>;
}

const example = 'such as "0 3 * * *" for three at night';

export function scheduleProblems({ prefetch, upstreams }: Given): ScheduleProblem[] {
  const names = Object.keys(upstreams);
  return prefetch.schedule.flatMap(({ cron, images, platforms = [] }, at) => {
    const found = [
      { key: ['cron'], allowed: cronObjection(cron) },
      ...images.map((image, index) => ({ key: ['images', index], allowed: imageObjection(image, names) })),
      ...platforms.map((platform, index) => ({ key: ['platforms', index], allowed: platformObjection(platform) })),
    ];
    return found.flatMap(({ key, allowed }) =>
      allowed === undefined ? [] : [{ path: ['prefetch', 'schedule', at, ...key], allowed }],
    );
  });
}

/** What a cron expression would have to be instead. */
export function cronObjection(text: string): string | undefined {
  // A date would be taken too, and seconds would never let it rest.
  const isForm = text.trim().startsWith('@') || text.trim().split(/\s+/).length === 5;
  if (!isForm) return `a cron expression of five fields, ${example}`;
  try {
    const cron = new Cron(text, { mode: '5-part', paused: true });
    return cron.nextRun() ? undefined : `a cron expression that is due on some day, ${example}`;
  } catch (error) {
    const why = (error as Error).message.replace(/^\w+: /, '').replace(/\.$/, '');
    return `a cron expression of five fields, ${example}; here: ${why}`;
  }
}

export function imageObjection(text: string, upstreams: readonly string[]): string | undefined {
  const form = 'an image such as "docker.io/library/redis:7"';
  let name: string;
  try {
    ({ name } = parseImageName(text));
  } catch (error) {
    return `${form}; here: ${(error as Error).message}`;
  }
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || upstreams.includes(first);
  if (!isRepositoryPath(isRegistry ? name.slice(slash + 1) : name)) return `${form}, in lower case`;
  if (!isRegistry || upstreams.includes(first) || upstreams.includes('*') || isDockerHub(first)) return undefined;
  return `an image of one of the upstreams: ${upstreams.join(', ')}`;
}

export function platformObjection(text: string): string | undefined {
  return text === 'all' || parsePlatform(text) ? undefined : 'a platform such as "linux/amd64", or "all"';
}

/** By one of its other names. */
function isDockerHub(host: string): boolean {
  return /(^|\.)docker\.(io|com)$/.test(host);
}
