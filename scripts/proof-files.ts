const within = (folder: string, ...names: readonly string[]): string[] =>
  names.map((name) => `e2e/${folder}/${name}.test.ts`);

/**
 * End-to-end files with servers of their own that promise no times: vitest runs two of them side by side, so each has
 * its own instances, or one of its worker (instances.test.ts).
 */
export const proofFiles: readonly string[] = [
  ...['chaos', 'crash', 'fill', 'moments'].map((folder) => `e2e/${folder}/*.test.ts`),
  ...within('operators', 'backup', 'moved-data', 'packages', 'full-disk', 'canaries', 'audit', 'killed-build'),
  ...within('operators', 'unreadable-record', 'host-limit', 'traces', 'operations-examples'),
  ...within(
    'operators',
    'object-store',
    'object-store-s3',
    'object-store-late',
    'object-store-kills',
    'volumes-in-store',
  ),
  ...within('security', 'at-rest', 'encrypted-disks', 'people', 'stored-secrets'),
  ...[...within('functions', 'restart'), ...within('templates', 'build-restart')],
  ...[...within('clients', 'readme'), ...within('sleep', 'archive')],
];
