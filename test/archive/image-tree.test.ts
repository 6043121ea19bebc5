// What a manifest names, followed to the end: what several name is read once.
import { expect, test } from 'vitest';
import { ImageTrees } from '../../src/archive/image-tree.ts';
import { digestFor } from '../mirror/start-mirror.ts';
import { described, type Piece, piece, sampleImage, sampleIndex, types } from './tar-content.ts';

function indexOf(note: string, ...children: Piece[]): Piece {
  const manifests = children.map(described);
  return piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests, annotations: { note } });
}

test('reads what many indexes name once', async () => {
  const image = sampleImage('shared');
  const images = sampleIndex([image]);
  const middle = ['one', 'two', 'three'].map((note) => indexOf(note, images));
  const root = indexOf('root', ...middle);
  const pieces = new Map([root, ...middle, images, image.manifest].map((one) => [one.digest, one]));
  const read: string[] = [];
  const trees = new ImageTrees({
    has: () => true,
    manifest: async (descriptor) => {
      read.push(descriptor.digest);
      const bytes = pieces.get(descriptor.digest)?.bytes;
      return bytes && { descriptor, bytes };
    },
  });
  const tree = await trees.root({ ...described(root), digest: digestFor(root) });
  expect(tree.children.map(({ children }) => children[0]?.children[0]?.descriptor.digest)).toEqual(
    Array(3).fill(image.manifest.digest),
  );
  await trees.root({ ...described(root), digest: digestFor(root) });
  expect(read.length).toBe(pieces.size);
});

test('measures how deep it is from below, whoever was met first', async () => {
  const image = sampleImage('deep');
  const chain = [image.manifest];
  for (let at = 0; at < 6; at++) chain.push(indexOf(`level ${at}`, chain.at(-1) ?? image.manifest));
  const trees = new ImageTrees({
    has: () => true,
    manifest: async (descriptor) => {
      const bytes = chain.find(({ digest }) => digest === descriptor.digest)?.bytes;
      return bytes && { descriptor, bytes };
    },
  });
  const heights = await Promise.all(
    chain.map(async (one) => {
      const root = trees.root({ ...described(one), digest: digestFor(one) });
      return await root.then(
        ({ height }) => height,
        (error: Error) => error.message.replace(/^\S+ /, ''),
      );
    }),
  );
  const refused = 'is an index in an index in an index, and too deep to follow';
  expect(heights).toEqual([0, 1, 2, 3, 4, refused, refused]);
});
