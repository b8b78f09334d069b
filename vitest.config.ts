import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { compileCacheFolder } from './packages/host/src/installation.ts';
import { aloneFiles, operatorFiles } from './scripts/alone-files.ts';
import { memoryFiles } from './scripts/memory-files.ts';
import { memoryFolder } from './scripts/memory-folder.ts';
import { mockedFiles } from './scripts/mocked-files.ts';
import { proofFiles } from './scripts/proof-files.ts';

// Tests start real sandboxes on two cores: one file at a time per project keeps their timings honest.
// Many tests promise times (deadlines, latencies under load) on machines that others share: one slow moment is no fault,
// two in a row of the same test are. Vitest prints every retry.
const retry = 1;

/** Files that begin with `@module-tag violation`: scripts/second-chances.test.ts says which must. */
const tags = [
  { name: 'violation', description: 'Looks for what must never be seen: a failure is not tried again.', retry: 0 },
  { name: 'long', description: 'CI has a shorter test of the same promise: `npm run test:long` runs this one.' },
];

/** Files of a minute and more: begun last, they would run alone while the second worker has nothing left. */
const longFiles = [
  ...['isolation/src/gvisor/driver', 'isolation/src/container/driver', 'isolation/src/container/pager/late-sandbox'],
  ...['isolation/src/container/late-memory', 'isolation/src/container/pager/pagers'],
  ...['cli/src/commands/server/server', 'cli/src/commands/key/key', 'cli/src/commands/template/template'],
  ...['cli/src/commands/sandbox/states', 'api/src/trail/killed-writer'],
  ...['runner/src/upkeep/crash', 'runner/src/builds/run-build', 'runner/src/templates/maker'],
  ...['e2e/operators/backup', 'e2e/crash/crash'],
].map((name) => `/${name}.test.ts`);

/** Of the programs that tests start: as a launcher of a clone, they do not compile what they have compiled before. */
const env = { NODE_COMPILE_CACHE: compileCacheFolder() };

/** Folders of e2e/ with tests of what is promised: the others' are of long runs and of tools. */
const promises = [
  ...['clients', 'code-interpreter', 'commands', 'copies', 'files', 'functions', 'network', 'operators', 'run'],
  ...['redteam', 'sandboxes', 'sdk', 'security', 'sleep', 'ssh', 'templates', 'volumes'],
];

/** Files that stop or attack servers, or measure a process that other files kill. */
const stopping = ['operators/*', 'redteam/*', 'volumes/hostile'].map((name) => `e2e/${name}.test.ts`);

/** A second, the default, is over before a busy machine has done a step that takes 50 ms. */
const patience = { expect: { poll: { timeout: 15_000 } } };

// Only hangs end by them. Some tests start whole servers, on machines of half the speed.
const unitTimes = { testTimeout: 90_000, hookTimeout: 180_000, ...patience };

/**
 * Node loads our sources as in production, without a detour over Vite: a quarter of the time. Files share the processes
 * and modules of two or three workers: new ones for each file cost as much as a third of all tests. They restore what
 * they change of their process.
 */
const nativeLoader = {
  isolate: false,
  experimental: { viteModuleRunner: false, nodeLoader: false },
  execArgv: ['--conditions=soulbox-source'],
  setupFiles: ['scripts/compile-cache.ts'],
  globalSetup: ['scripts/limit-compile-cache.ts'],
  env,
};

const endToEnd = {
  ...{ retry, tags, ...patience, ...nativeLoader },
  testTimeout: 120_000,
  hookTimeout: 180_000,
  setupFiles: [...nativeLoader.setupFiles, 'e2e/harness/each-file.ts'],
  globalSetup: [...nativeLoader.globalSetup, 'e2e/global-setup.ts'],
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => longFiles.some((name) => moduleId.endsWith(name));
    return (await super.sort(files)).toSorted((one, other) => Number(isLong(other)) - Number(isLong(one)));
  }
}

export default defineConfig({
  test: {
    reporters: ['default', './scripts/skip-reporter.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...{ name: 'unit', retry, tags, ...unitTimes, ...nativeLoader },
          include: [
            'apps/*/src/**/*.test.ts',
            'apps/*/build/**/*.test.ts',
            'packages/*/src/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
          exclude: [...mockedFiles, ...memoryFiles],
          maxWorkers: 3,
        },
      },
      {
        test: {
          ...{ name: 'unit-memory', retry, tags, ...unitTimes, ...nativeLoader },
          include: [...memoryFiles],
          exclude: [...mockedFiles],
          env: { ...env, TMPDIR: memoryFolder },
          globalSetup: [...nativeLoader.globalSetup, 'scripts/memory-folder.ts'],
          maxWorkers: 3,
        },
      },
      {
        test: { ...{ name: 'mocked', retry, tags, env, ...unitTimes }, include: [...mockedFiles], maxWorkers: 3 },
      },
      {
        test: {
          name: 'e2e',
          ...endToEnd,
          include: ['e2e/**/*.test.ts'],
          exclude: [...proofFiles, ...aloneFiles, ...operatorFiles],
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e-operators',
          ...endToEnd,
          include: [...operatorFiles],
          exclude: [...proofFiles, ...aloneFiles],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e-alone',
          ...endToEnd,
          include: [...aloneFiles],
          exclude: [...proofFiles],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'proofs',
          ...endToEnd,
          include: [...proofFiles],
          // They promise no times, and share the processors.
          testTimeout: 180_000,
          maxWorkers: 2,
        },
      },
      {
        // The same promises behind the other wall: `npm run e2e:gvisor`.
        test: {
          name: 'e2e-gvisor',
          ...endToEnd,
          include: promises.map((promise) => `e2e/${promise}/*.test.ts`),
          exclude: stopping,
          maxWorkers: 2,
        },
      },
      {
        test: { name: 'e2e-gvisor-alone', ...endToEnd, include: stopping, fileParallelism: false },
      },
      {
        // Installs much first: `npm run workloads`.
        test: {
          ...{ name: 'workloads', tags },
          include: ['e2e/**/*.workload.ts'],
          hookTimeout: 180_000,
          fileParallelism: false,
          globalSetup: ['e2e/global-setup.ts'],
        },
      },
    ],
  },
});
