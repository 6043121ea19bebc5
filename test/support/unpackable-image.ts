// Small images of the fake upstream that real daemons can unpack: their layers are plain tars.
import type { AddedImage, FakeUpstream } from './fake-upstream.ts';
import { contentFromPlan } from './planned-content.ts';

/** No two seeds give the same layer. */
export async function addUnpackable(
  upstream: FakeUpstream,
  image: { readonly repository: string; readonly tag?: string; readonly seed: number; readonly size?: number },
): Promise<AddedImage> {
  const { repository, tag = 'latest', seed, size = 4096 } = image;
  const layer = await contentFromPlan({ kind: 'tar', size, seed });
  return upstream.addImage(repository, { tag, layers: [layer] });
}
