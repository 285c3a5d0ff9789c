import { defineConfig } from 'vitest/config'

// eslint-disable-next-line import/no-default-export -- the tool wants one
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: 'forks',
    reporters: ['default', ['json', { outputFile: '.cache/tests.json' }]],
  },
})
