import vue from '@vitejs/plugin-vue'
import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '#contract': resolve(import.meta.dirname, 'electron/contract/index.ts') } },
  test: {
    globalSetup: 'electron/hosts/buildFirst.ts',
    include: ['electron/**/*.test.ts', 'renderer/**/*.test.ts'],
    // Real workers and real training: slow machines are given time, and two files at once are enough for two cores.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'test-results/unit.json' }]],
  },
})
