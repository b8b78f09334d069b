/**
 * What may import what. `npm run directions`, a part of `npm run check`, compares it with every import, type-only ones included.
 * Files never import each other in a circle; that needs no entry here.
 */

/** Each part and the parts that it may import, `*` standing for any name. A folder inside a part can be a part of its own. */
export const parts: Readonly<Record<string, readonly string[]>> = {
  'packages/base': [],
  'packages/linux': [],
  'packages/certificates': [],
  'packages/contract': ['packages/base'],
  // Runs in browsers too, but for its part for Node.
  'packages/client': [],
  'packages/client/src/process': ['packages/client', 'packages/contract'],
  'packages/client/src/node': ['packages/base', 'packages/client', 'packages/contract'],
  // Runs in browsers: of the contract it uses what is generated, and the names of headers.
  'packages/sdk': ['packages/client', 'packages/client/src/process', 'packages/contract', 'packages/local-files'],
  'packages/envd-client': [
    ...['packages/base', 'packages/client', 'packages/client/src/node', 'packages/client/src/process'],
    'packages/contract',
  ],
  'packages/network': ['packages/base', 'packages/linux'],
  'packages/process': ['packages/base', 'packages/linux'],
  'packages/rpc': ['packages/base', 'packages/contract', 'packages/linux'],
  'packages/routing': ['packages/base', 'packages/contract', 'packages/linux', 'packages/process', 'packages/rpc'],
  'packages/egress-policies': ['packages/base', 'packages/contract', 'packages/network', 'packages/rpc'],
  'packages/runtimes': [],
  'packages/templates': ['packages/base', 'packages/contract'],
  'packages/storage': ['packages/base', 'packages/client', 'packages/contract', 'packages/linux'],
  'packages/buckets': ['packages/base', 'packages/fuse', 'packages/storage'],
  'packages/fuse-mounts': ['packages/base', 'packages/contract', 'packages/fuse'],
  'packages/volumes': ['packages/base', 'packages/fuse', 'packages/storage', 'packages/vault'],
  'packages/keyring': ['packages/base', 'packages/linux', 'packages/storage'],
  'packages/vault': ['packages/base', 'packages/keyring', 'packages/rpc', 'packages/storage'],
  'packages/cache': ['packages/base'],
  'packages/checkpoints': ['packages/base', 'packages/keyring', 'packages/linux', 'packages/storage'],
  'packages/isolation': ['packages/base', 'packages/contract', 'packages/keyring', 'packages/linux'],
  'packages/host': ['packages/base', 'packages/contract', 'packages/isolation', 'packages/linux', 'packages/storage'],
  'packages/audit': ['packages/base'],
  'packages/tracing': ['packages/base'],
  'packages/local-files': [],
  // Published on its own.
  'packages/fuse': [],
  'packages/mcp-http': [],
  'packages/testing': ['packages/*', 'apps/*'],

  // Runs beside hostile code: it gets no more of ours than it needs.
  'apps/envd': ['packages/base', 'packages/contract'],
  'apps/edge-worker': ['packages/contract'],
  'apps/sftp-server': [],
  'apps/code-interpreter': ['packages/base', 'packages/contract'],
  'apps/mcp-gateway': ['packages/mcp-http'],
  // Run on the host to build what runs in sandboxes.
  'apps/envd/build': ['packages/base', 'packages/isolation', 'apps/envd'],
  'apps/edge-worker/build': ['apps/edge-worker'],
  'apps/sftp-server/build': ['apps/sftp-server'],
  'apps/code-interpreter/build': ['packages/base', 'packages/templates', 'apps/code-interpreter'],
  'apps/mcp-gateway/build': ['packages/templates', 'apps/mcp-gateway'],

  // Apps meet on the wire.
  'apps/gateway': [
    ...['packages/base', 'packages/certificates', 'packages/contract', 'packages/process', 'packages/routing'],
    'packages/rpc',
  ],
  'apps/egress': [
    ...['packages/base', 'packages/certificates', 'packages/contract', 'packages/egress-policies', 'packages/linux'],
    ...['packages/network', 'packages/process', 'packages/rpc'],
  ],
  'apps/volumes': [
    ...['packages/base', 'packages/contract', 'packages/fuse', 'packages/fuse-mounts', 'packages/linux'],
    ...['packages/process', 'packages/storage', 'packages/vault', 'packages/volumes'],
  ],
  'apps/buckets': [
    ...['packages/base', 'packages/buckets', 'packages/contract', 'packages/fuse', 'packages/fuse-mounts'],
    ...['packages/linux', 'packages/network', 'packages/process', 'packages/rpc', 'packages/storage'],
  ],
  'apps/objects': [
    ...[
      'packages/base',
      'packages/cache',
      'packages/contract',
      'packages/linux',
      'packages/process',
      'packages/storage',
      'packages/vault',
    ],
  ],
  'apps/ssh': [...['packages/base', 'packages/contract', 'packages/envd-client', 'packages/process', 'packages/rpc']],
  'apps/functions': [
    ...['packages/base', 'packages/client', 'packages/client/src/node', 'packages/contract', 'packages/envd-client'],
    ...['packages/keyring', 'packages/storage'],
  ],
  'apps/api': [
    ...[
      'packages/audit',
      'packages/base',
      'packages/contract',
      'packages/egress-policies',
      'packages/keyring',
      'packages/network',
      'packages/rpc',
      'packages/runtimes',
    ],
    'packages/storage',
  ],
  'apps/runner': [
    ...[
      'packages/base',
      'packages/certificates',
      'packages/contract',
      'packages/keyring',
      'packages/network',
      'packages/runtimes',
      'packages/storage',
    ],
    ...['packages/checkpoints', 'packages/egress-policies', 'packages/envd-client', 'packages/isolation'],
    ...['packages/routing', 'packages/templates', 'packages/vault'],
  ],
  // The runner with what it has on a host, and with what runs in its sandboxes.
  'apps/runner/src/process': [
    'packages/*',
    ...['apps/runner', 'apps/envd/build', 'apps/code-interpreter/build', 'apps/mcp-gateway/build'],
  ],
  // API and functions are one process.
  'apps/control': ['packages/*', 'apps/api', 'apps/functions'],
  // One machine's server: it starts the others.
  'apps/box': ['packages/*', 'apps/*'],
  'apps/cli': ['packages/*', 'apps/box'],

  bench: ['packages/*', 'apps/*'],
  e2e: ['packages/*', 'apps/*'],
  scripts: ['packages/*', 'apps/*'],
};

/** What tests (`*.test.ts`, and files in a folder `testing`) may import beside that. */
export const testParts: readonly string[] = ['packages/testing', 'apps/envd/build'];

export { rooms } from './rooms.config.ts';

/** Imports against these rules that stand today, as `from -> to`. The list only shrinks: an entry that is not needed is an error. */
export const exceptions: readonly string[] = [];
