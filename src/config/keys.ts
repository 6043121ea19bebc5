// What can be known of a key from the schema alone: which keys there are, what types they take, which are secret.
import type { z } from 'zod';
import { configJsonSchema } from './schema.ts';

type Node = z.core.JSONSchema.BaseSchema;
export type KeyPath = readonly PropertyKey[];
export type ValueType = 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'object' | 'array';

const root = configJsonSchema();

/** `cache.maxSize`, `access.rules[0].effect`. */
export function keyName(path: KeyPath): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

/** `undefined` for a key that is not there, or below something that is no object. */
export function valueAt(from: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, part) => {
    const isInside = typeof value === 'object' && value !== null && Object.hasOwn(value, part);
    return isInside ? (value as Record<PropertyKey, unknown>)[part] : undefined;
  }, from);
}

/** The types that the key's value may have in the file; none for a key that does not exist. */
export function typesAt(path: KeyPath): readonly ValueType[] {
  const types = nodesAt(path).flatMap((node) => alternatives(node).flatMap(({ type }) => type ?? []));
  return [...new Set(types as ValueType[])];
}

/** Whether the value itself is a secret. */
export function isSecret(path: KeyPath): boolean {
  return nodesAt(path).some(({ writeOnly }) => writeOnly === true);
}

/** Whether the value is a secret or stands inside something that holds one. */
export function isNearSecret(path: KeyPath): boolean {
  return path.some((_, at) => isSecret(path.slice(0, at + 1)));
}

/** The keys of the object at the path. */
export function keysAt(path: KeyPath): string[] {
  return [
    ...new Set(
      nodesAt(path)
        .flatMap(alternatives)
        .flatMap((node) => Object.keys(node.properties ?? {})),
    ),
  ];
}

/** The paths of all keys outside lists, sections included, with those of an upstream once for each of the names. */
export function allKeys(upstreamNames: readonly string[]): string[][] {
  const below = (path: string[]): string[][] => {
    const keys = path.length === 1 && path[0] === 'upstreams' ? upstreamNames : keysAt(path);
    return keys.flatMap((key) => [[...path, key], ...below([...path, key])]);
  };
  return below([]);
}

function nodesAt(path: KeyPath): Node[] {
  return path.reduce<Node[]>((nodes, part) => nodes.flatMap((node) => childrenOf(node, part)), [root]);
}

function childrenOf(node: Node, part: PropertyKey): Node[] {
  return alternatives(node).flatMap(({ properties, additionalProperties, items }) => {
    if (typeof part === 'number') return isNode(items) ? [items] : [];
    const own = properties && Object.hasOwn(properties, part) ? properties[String(part)] : additionalProperties;
    return isNode(own) ? [own] : [];
  });
}

function alternatives(node: Node): Node[] {
  return node.anyOf ? node.anyOf.filter(isNode).flatMap(alternatives) : [node];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
