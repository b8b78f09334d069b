/**
 * End-to-end files that have the machine for themselves: they measure, load or stop what the files beside them would
 * use. The other files share a server, two at a time.
 */
export const aloneFiles: readonly string[] = [
  ...['soak', 'redteam', 'operators'].map((folder) => `e2e/${folder}/*.test.ts`),
  ...['commands/load', 'sandboxes/load', 'sandboxes/spares', 'sandboxes/metrics'].map((name) => `e2e/${name}.test.ts`),
  ...['volumes/hostile', 'volumes/programs'].map((name) => `e2e/${name}.test.ts`),
];
