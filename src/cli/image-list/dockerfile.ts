// The images that a build of a Dockerfile pulls: bases, sources of COPY and of mounts, and its syntax.
import { DockerfileParser, type From, type Instruction, type ModifiableInstruction } from 'dockerfile-ast';
import type { FoundImages, ListedImage } from './found-images.ts';
import { interpolate } from './interpolate.ts';

/** https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope */
const automatic = /^(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)$/;
const nothing = 'scratch';
const mostCharacters = 1024 * 1024;

export function imagesOfDockerfile(text: string): FoundImages {
  if (text.length > mostCharacters) throw new Error('it is larger than any Dockerfile that people wrote');
  const dockerfile = DockerfileParser.parse(text);
  const images: ListedImage[] = [];
  const leftOut: string[] = [];
  const syntax = dockerfile.getDirectives().find((directive) => directive.getName().toLowerCase() === 'syntax');
  if (syntax) images.push({ image: syntax.getValue(), where: 'line 1' });

  const args = new Map<string, string>();
  const expand = (part: string) => interpolate(part, (name) => args.get(name));
  for (const property of dockerfile.getInitialARGs().flatMap((arg) => arg.getProperties())) {
    const { text: value, unset } = expand(property.getValue() ?? '');
    if (unset.length > 0) args.delete(property.getName());
    else if (property.getValue() !== null) args.set(property.getName(), value);
  }

  const stages = new Set<string>();
  const add = (given: string, instruction: Instruction, platform?: string | null) => {
    const where = `line ${lineOf(instruction)}`;
    const { text: image, unset } = expand(given);
    if (unset.length > 0) {
      if (!isStageByPlatform(given, stages)) leftOut.push(`${where}: ${given}: ${unset.join(' and ')} has no default`);
    } else if (image.toLowerCase() !== nothing && !stages.has(image.toLowerCase())) {
      const wanted = expand(platform ?? '');
      // What depends on who builds is left to whoever asks for the images.
      images.push({ image, where, platform: (wanted.unset.length === 0 && wanted.text) || undefined });
    }
  };

  let isFromSeen = false;
  for (const instruction of dockerfile.getInstructions()) {
    const keyword = instruction.getKeyword();
    if (keyword === 'FROM') {
      const from = instruction as From;
      const image = from.getImage();
      if (image === null) throw new Error(`line ${lineOf(from)}: FROM names no image`);
      add(unquoted(image), from, from.getPlatformFlag()?.getValue());
      stages.add((from.getBuildStage() ?? '').toLowerCase());
      isFromSeen = true;
    }
    if (keyword !== 'COPY' && keyword !== 'RUN') continue;
    for (const source of sourcesOf(instruction as ModifiableInstruction)) {
      if (!/^\d+$/.test(source)) add(unquoted(source), instruction);
    }
  }
  if (!isFromSeen) throw new Error('a Dockerfile without FROM names no image');
  return { images, leftOut };
}

/** Of `COPY --from=NAME` and `RUN --mount=from=NAME,…`. */
function sourcesOf(instruction: ModifiableInstruction): string[] {
  return instruction.getFlags().flatMap((flag) => {
    const value = flag.getValue() ?? '';
    if (flag.getName() === 'from') return value === '' ? [] : [value];
    if (flag.getName() !== 'mount') return [];
    return value.split(',').flatMap((option) => /^from=(.+)$/.exec(option)?.[1] ?? []);
  });
}

/** `FROM base-${TARGETARCH}` chooses one of the stages. */
function isStageByPlatform(given: string, stages: ReadonlySet<string>): boolean {
  const parts = given.toLowerCase().split(/\$\{?[a-z]+\}?/);
  const names = [...given.matchAll(/\$\{?(\w+)\}?/g)].map(([, name = '']) => name);
  if (!names.every((name) => automatic.test(name))) return false;
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  return [...stages].some((stage) => stage !== '' && stage.startsWith(first) && stage.endsWith(last));
}

function unquoted(text: string): string {
  return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;
}

function lineOf(instruction: Instruction): number {
  return instruction.getRange().start.line + 1;
}
