// What traces tell of a fill: it is below the request that started it, and those that join it are linked to it.
import { type Span, tracer } from '../observe/spans.ts';
import { formatRepository } from '../oci/repository.ts';
import type { FillOptions } from './fill.ts';

export function startFillSpan({ source, digest, isWanted }: FillOptions): Span | undefined {
  return tracer()?.start({
    name: 'fill',
    kind: 'internal',
    facts: {
      'stillwater.repository': formatRepository(source.repository),
      'stillwater.upstream': source.upstream.label,
      'stillwater.digest': digest,
      'stillwater.sibling': !isWanted,
    },
  });
}
