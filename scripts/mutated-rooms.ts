/** A file of pure logic and the test beside it: `npm run test:mutants` changes the file, and the test must fail. */
export interface MutatedRoom {
  readonly code: string;
  readonly test: string;
}

const beside = (folder: string, ...names: string[]): MutatedRoom[] =>
  names.map((name) => ({ code: `${folder}/${name}.ts`, test: `${folder}/${name}.test.ts` }));
const together = (folder: string, test: string, ...names: string[]): MutatedRoom[] =>
  names.map((name) => ({ code: `${folder}/${name}.ts`, test: `${folder}/${test}.test.ts` }));

export const mutatedRooms: readonly MutatedRoom[] = [
  ...beside('apps/runner/src/registry', 'lifecycle', 'locks', 'admission', 'references'),
  ...beside('apps/runner/src/metrics', 'activity'),
  ...beside('apps/runner/src/pool', 'policy', 'pool', 'demand'),
  ...beside('apps/runner/src/operations/copies', 'tenant-of-copy'),
  ...beside('packages/network/src', 'ruleset', 'policy'),
  ...together('packages/network/src', 'policy', 'cidr'),
  ...beside('packages/isolation/src/oci', 'seccomp-profile', 'limits'),
  ...together('packages/isolation/src/oci', 'seccomp-profile', 'seccomp-syscalls'),
  ...beside('packages/isolation/src/container', 'oci-config'),
  ...together('packages/isolation/src', 'container/oci-config', 'container/mounts', 'oci/capabilities', 'oci/mounts'),
  ...beside('packages/isolation/src/gvisor', 'seccomp-profile', 'oci-config'),
  ...together('packages/isolation/src/gvisor', 'oci-config', 'mounts'),
  ...beside('packages/isolation/src/container/pager', 'image-file', 'page-map', 'missing-memory', 'eager-blocks'),
  ...beside('packages/isolation/src/container/pager', 'verified-pages', 'task', 'user-fault', 'poll-set', 'record'),
  ...beside('packages/isolation/src/container/checkpoint', 'large-mappings', 'user-namespace-image'),
  ...beside('packages/contract/src', 'file-signature'),
  ...together('packages/contract/src/signed-url', 'canonical', 'canonical-host', 'canonical-path', 'query'),
  ...together('packages/contract/src/signed-url', 'signed-request', 'parse-grant', 'file-prefix', 'signature'),
  ...beside('packages/contract/src/signed-url', 'signed-request', 'limits'),
  ...together('packages/contract/src/signed-url', 'limits', 'address-ranges'),
  ...beside('packages/checkpoints/src', 'collect'),
  ...beside('packages/runtimes/src', 'detect', 'version', 'clues', 'script-clues', 'package-json', 'project-file'),
];
