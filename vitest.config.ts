import { defineConfig } from 'vitest/config';

// Real daemons and measured crowds get the machine to themselves, one file at a time, after everything else.
const real = ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: real } },
      {
        extends: true,
        test: { name: 'e2e', include: real, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
