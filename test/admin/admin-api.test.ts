// What programs are told of the mirror.
import { expect, test } from 'vitest';
import { adminApi } from '../../src/admin/admin-api.ts';
import type { UpstreamStatus } from '../../src/upstream/upstream.ts';

test('/upstreams tells the health and the limits of each upstream, as they are now', async () => {
  const status: UpstreamStatus[] = [
    {
      name: 'registry.test',
      endpoints: [
        {
          endpoint: 'https://registry.test',
          isCircuitOpen: true,
          retryInMs: 5000,
          problem: 'upstream registry.test did not answer in time',
          limits: [
            {
              credential: 'anonymous',
              limit: 100,
              remaining: 7,
              windowSeconds: 21_600,
              retryInMs: undefined,
              problem: undefined,
            },
          ],
        },
      ],
    },
  ];
  const api = adminApi({ upstreams: { status: () => status } });
  const answer = await api.request('/upstreams');
  expect(await answer.json()).toEqual(JSON.parse(JSON.stringify({ upstreams: status })));
});
