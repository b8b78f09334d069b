/**
 * Unit test files that may share a process and its modules, and whose temporary files are in memory: a third of their
 * time is the import of what they test, and a third are flushes to the disk. They change nothing of their process that
 * they do not restore.
 */
export const sharedFiles: readonly string[] = [
  'apps/api/src/**/*.test.ts',
  ...['audit', 'base', 'client', 'contract'].map((name) => `packages/${name}/src/**/*.test.ts`),
];
