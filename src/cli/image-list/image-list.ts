// The images that a file names: a Dockerfile, a compose file, Kubernetes manifests, or a plain list.
import { OciError } from '../../oci/errors.ts';
import { parseImageName } from '../../oci/image-name.ts';
import { nameFault } from '../image-argument.ts';
import { imagesOfCompose, isCompose } from './compose.ts';
import { imagesOfDockerfile } from './dockerfile.ts';
import type { FoundImages, ListedImage } from './found-images.ts';
import { imagesOfKubernetes } from './kubernetes.ts';
import { imagesOfPlainList } from './plain-list.ts';
import { readYaml } from './yaml-documents.ts';

export interface ImageListOptions {
  /** Of the file, which says more about its form than its content does; `-` says nothing. */
  readonly name: string;
  /** For variables in a compose file. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const most = 10_000;
const dockerfileName = /(?:^|[./\\_-])(?:docker|container)file(?:[._-][^/\\]*)?$/i;
const yamlName = /\.(?:ya?ml|json)$/i;
/** What a mapping that is a compose file or a manifest begins a line with: `nginx:1.27` has no space. */
const yamlContent =
  /^(?:---|[ \t]*\{|(?:apiVersion|kind|items|metadata|spec|services|include|name|version|x-[\w-]+):(?:\s|$))/m;
/** Looked for in what is neither blank nor a comment nor an ARG first. No part of these goes on into the next line. */
const firstInstruction = /^(?![ \t]*(?:#|ARG\s|$)).*/im;
const dockerfileContent = /^[ \t]*FROM(?:\s|$)/i;

/** Each image once a platform. Throws one line that says what is wrong, with the line of the file where that is known. */
export function readImageList(text: string, { name, env }: ImageListOptions): FoundImages {
  const plain = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const form = formOf(plain, name);
  const found = readAs(form, plain, env);
  const images = new Map<string, ListedImage>();
  const leftOut = [...found.leftOut];
  for (const listed of found.images) {
    const fault = faultOf(listed.image);
    if (fault === undefined) images.set(`${listed.image} ${listed.platform ?? ''}`, listed);
    // Whoever wrote a list meant each line of it.
    else if (form === 'list') throw new Error(`${listed.where}: ${fault}`);
    else leftOut.push(`${listed.where}: ${fault}`);
  }
  if (images.size > most) throw new Error(`it names more than ${most} images; split it`);
  return { images: [...images.values()], leftOut };
}

type Form = 'dockerfile' | 'yaml' | 'list';

function formOf(text: string, name: string): Form {
  if (yamlName.test(name)) return 'yaml';
  const [first = ''] = firstInstruction.exec(text) ?? [];
  if (dockerfileName.test(name) || dockerfileContent.test(first)) return 'dockerfile';
  return yamlContent.test(text) ? 'yaml' : 'list';
}

function readAs(form: Form, text: string, env: ImageListOptions['env']): FoundImages {
  if (form === 'dockerfile') return imagesOfDockerfile(text);
  if (form === 'list') return imagesOfPlainList(text, most);
  const documents = readYaml(text);
  const [first] = documents;
  return isCompose(first) ? imagesOfCompose(first, env) : imagesOfKubernetes(documents);
}

function faultOf(image: string): string | undefined {
  const shown = JSON.stringify(image.length > 100 ? `${image.slice(0, 100)}…` : image);
  if (/\{\{|\}\}/.test(image)) return `${shown} is a template; render it first`;
  if (/[^\x21-\x7e]|[$"'`\\]/.test(image)) return `${shown} is not an image`;
  try {
    const fault = nameFault(parseImageName(image).name);
    return fault && `${shown} is ${fault}`;
  } catch (error) {
    if (error instanceof OciError) return `${shown} is not an image: ${error.message}`;
    throw error;
  }
}
