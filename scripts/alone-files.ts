/**
 * End-to-end files that have the machine for themselves: they measure or load what the files beside them would use.
 * The other files share a server, two at a time.
 */
export const aloneFiles: readonly string[] = [
  ...['soak', 'redteam'].map((folder) => `e2e/${folder}/*.test.ts`),
  ...['commands/load', 'sandboxes/load', 'sandboxes/spares', 'sandboxes/metrics', 'sandboxes/ratios'].map(
    (name) => `e2e/${name}.test.ts`,
  ),
  // How soon a process that was killed is back.
  ...['operators/processes', 'volumes/hostile'].map((name) => `e2e/${name}.test.ts`),
];

/**
 * Other end-to-end files that stop processes of the server, or the whole of it: one at a time. Files with another server
 * may run beside them.
 */
export const operatorFiles: readonly string[] = ['e2e/operators/*.test.ts', 'e2e/volumes/programs.test.ts'];
