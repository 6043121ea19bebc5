// What a person gave, put together before it is checked: the file's values, then the environment's, then the flags'.
import type { Override } from './environment.ts';
import type { ConfigFile } from './file.ts';
import { type KeyPath, keyName, typesAt } from './keys.ts';
import { expandReferences, hasReference, type ReferenceSources } from './references.ts';

type Mutable = Record<string, unknown>;

export class Given {
  /** The values, in the form of the file. */
  readonly values: Mutable;
  /** Messages about references that lead nowhere. */
  readonly problems: string[] = [];
  readonly #file: ConfigFile | undefined;
  readonly #overrides: readonly Override[];
  readonly #sources: ReferenceSources;
  readonly #referred = new Set<string>();
  readonly #broken = new Set<string>();

  constructor(file: ConfigFile | undefined, overrides: readonly Override[], sources: ReferenceSources) {
    this.#file = file;
    this.#overrides = overrides;
    this.#sources = sources;
    const values = structuredClone(file?.content ?? {}) as Mutable;
    for (const override of overrides) set(values, override);
    // Last, so that a reference that an override has replaced is never followed.
    this.values = this.#expand(values, []) as Mutable;
  }

  isReferred(path: KeyPath): boolean {
    return this.#referred.has(keyName(path));
  }

  /** Whether a reference at the path already made a problem. */
  isBroken(path: KeyPath): boolean {
    return this.#broken.has(keyName(path));
  }

  /** What a message about the path begins with: the flag or variable that set it, or the file. */
  originOf(path: KeyPath): string {
    const name = keyName(path);
    const override = this.#overrides.findLast((each) => `${keyName(each.path)}.`.startsWith(`${name}.`));
    return override?.origin ?? this.#file?.name ?? 'configuration';
  }

  #expand(value: unknown, path: KeyPath): unknown {
    if (typeof value === 'string') return this.#expandText(value, path);
    if (Array.isArray(value)) return value.map((item, at) => this.#expand(item, [...path, at]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#expand(inner, [...path, key])]));
  }

  #expandText(text: string, path: KeyPath): unknown {
    if (!hasReference(text)) return text;
    const expanded = expandReferences(text, this.#sources);
    this.#referred.add(keyName(path));
    if (expanded.problems.length === 0) return coerce(expanded.text, path);
    this.#broken.add(keyName(path));
    this.problems.push(...expanded.problems.map((problem) => `${this.originOf(path)}: ${keyName(path)}: ${problem}`));
    return text;
  }
}

function set(values: Mutable, { path, text }: Override): void {
  let section = values;
  for (const key of path.slice(0, -1)) {
    const inner = Object.hasOwn(section, key) ? section[key] : undefined;
    const next: Mutable =
      typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Mutable) : {};
    section[key] = next;
    section = next;
  }
  section[path.at(-1) ?? ''] = hasReference(text) ? text : coerce(text, path);
}

/** A text from outside the file, as the type that the key takes; unchanged if it does not look like it. */
function coerce(text: string, path: KeyPath): unknown {
  const types = typesAt(path);
  const isNumeric = types.includes('number') || types.includes('integer');
  if (isNumeric && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  if (types.includes('null') && text === 'null') return null;
  return text;
}
