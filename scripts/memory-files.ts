/**
 * Unit test files whose temporary files are in memory: flushes to the disk would take a third of their time. They start
 * no sandboxes, which need a disk.
 */
export const memoryFiles: readonly string[] = [
  ...rooms('apps', ['api', 'gateway']),
  ...rooms('packages', ['audit', 'base', 'cache', 'certificates', 'client', 'contract', 'egress-policies']),
  ...rooms('packages', ['envd-client', 'keyring', 'local-files', 'mcp-http', 'routing', 'rpc', 'runtimes', 'sdk']),
  ...rooms('packages', ['storage', 'tracing', 'vault']),
];

function rooms(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `${folder}/${name}/src/**/*.test.ts`);
}
