/**
 * Long end-to-end files with servers of their own that promise no times: vitest runs two of them side by side, so each
 * has its own instances (instances.test.ts).
 */
export const proofFiles: readonly string[] = [
  ...['chaos', 'crash', 'fill', 'moments'].map((folder) => `e2e/${folder}/*.test.ts`),
  ...['backup', 'moved-data', 'packages'].map((name) => `e2e/operators/${name}.test.ts`),
];
