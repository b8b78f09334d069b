/**
 * Unit test files that may share a process and its modules, and whose temporary files are in memory: a third of their
 * time is the import of what they test, and a third are flushes to the disk. They change nothing of their process that
 * they do not restore.
 */
export const sharedFiles: readonly string[] = [
  ...rooms('apps', ['api', 'gateway']),
  ...rooms('packages', ['audit', 'base', 'cache', 'certificates', 'client', 'contract', 'egress-policies']),
  ...rooms('packages', ['envd-client', 'keyring', 'local-files', 'mcp-http', 'routing', 'rpc', 'runtimes', 'sdk']),
  ...rooms('packages', ['storage', 'tracing', 'vault']),
];

function rooms(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `${folder}/${name}/src/**/*.test.ts`);
}
