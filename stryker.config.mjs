// `npm run test:mutants`: changes the logic in small ways, one at a time, and counts which changes a test notices.
import { mutatedRooms } from './scripts/mutated-rooms.ts';

export default {
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutants.config.ts', related: true },
  mutate: [...new Set(mutatedRooms.map(({ code }) => code))],
  appendPlugins: ['./scripts/log-messages.ts'],
  ignorers: ['log-messages'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 5000,
  reporters: ['clear-text', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: 'reports/mutants.json' },
  tempDirName: '.stryker-tmp',
  ignorePatterns: ['.stryker-tmp', 'reports', 'docs', 'spec', 'e2e', 'bench'],
  thresholds: { high: 90, low: 85, break: 85 },
};
