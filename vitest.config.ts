import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/support/server-broker.ts'],
    include: ['test/**/*.test.ts'],
    // Server-backed tests share real servers; two workers match the smallest supported machine.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
