import { defineConfig } from 'vitest/config';
import { mutatedRooms } from './scripts/mutated-rooms.ts';

// For `npm run test:mutants`: the tests beside the code that is mutated, none of which starts a sandbox.
export default defineConfig({
  test: {
    include: mutatedRooms.map(({ test }) => test),
    testTimeout: 60_000,
    tags: [{ name: 'violation' }],
    // Stryker's own workers share the processors.
    maxWorkers: 1,
  },
});
