/**
 * What may import what. `npm run directions`, a part of `npm run check`, compares it with every import, type-only ones included.
 * Files never import each other in a circle; that needs no entry here.
 */

/** Each part and the parts that it may import, `*` standing for any name. A folder inside a part can be a part of its own. */
export const parts: Readonly<Record<string, readonly string[]>> = {
  'packages/base': [],
  'packages/linux': [],
  'packages/contract': ['packages/base'],
  'packages/envd-client': ['packages/base', 'packages/contract'],
  'packages/network': ['packages/base', 'packages/linux'],
  'packages/process': ['packages/base', 'packages/linux'],
  'packages/rpc': ['packages/base', 'packages/contract', 'packages/linux'],
  'packages/routing': ['packages/base', 'packages/contract', 'packages/linux', 'packages/process', 'packages/rpc'],
  'packages/runtimes': [],
  'packages/templates': ['packages/base', 'packages/contract'],
  'packages/storage': ['packages/base', 'packages/contract'],
  'packages/checkpoints': ['packages/base', 'packages/linux', 'packages/storage'],
  'packages/isolation': ['packages/base', 'packages/contract', 'packages/linux'],
  'packages/host': ['packages/base', 'packages/contract', 'packages/isolation', 'packages/storage'],
  'packages/testing': ['packages/*', 'apps/*'],

  // Runs beside hostile code: it gets no more of ours than it needs.
  'apps/envd': ['packages/base', 'packages/contract'],
  'apps/edge-worker': ['packages/contract'],
  'apps/code-interpreter': ['packages/base', 'packages/contract'],
  'apps/mcp-gateway': [],
  // Run on the host to build what runs in sandboxes.
  'apps/envd/build': ['packages/base', 'packages/isolation', 'apps/envd'],
  'apps/edge-worker/build': ['apps/edge-worker'],
  'apps/code-interpreter/build': ['packages/base', 'packages/templates', 'apps/code-interpreter'],
  'apps/mcp-gateway/build': ['packages/templates', 'apps/mcp-gateway'],

  // Apps meet on the wire.
  'apps/gateway': ['packages/base', 'packages/contract', 'packages/process', 'packages/routing', 'packages/rpc'],
  'apps/functions': ['packages/base', 'packages/contract', 'packages/envd-client', 'packages/storage'],
  'apps/api': ['packages/base', 'packages/contract', 'packages/network', 'packages/runtimes', 'packages/storage'],
  'apps/runner': [
    ...['packages/base', 'packages/contract', 'packages/network', 'packages/runtimes', 'packages/storage'],
    ...['packages/checkpoints', 'packages/envd-client', 'packages/isolation', 'packages/routing', 'packages/templates'],
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

/**
 * The rooms of a folder, its files and folders, in rows from bottom to top. A room imports rooms of rows before its own, never one of the
 * same row or after. Every room stands in a row. Tests (`*.test.ts`) may import any.
 */
export const rooms: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'apps/api/src': [
    // Below the context: what one server has, each made of less than all.
    ['actor', 'limits', 'names', 'private-target', 'upload-signer'],
    ['config', 'runner'],
    ['builder', 'keys', 'meters'],
    ['context'],
    ['auth'],
    ['http'],
    // What a caller means by a name or an id.
    ['load-all', 'lookup', 'paging'],
    // Resources: a file for each operation.
    ['teams'],
    ['api-keys', 'build-files', 'functions', 'health', 'host', 'later-routes', 'runs', 'sandboxes', 'snapshots'],
    ['events', 'kv', 'pages', 'prometheus', 'templates'],
    ['builds', 'webhooks'],
    // What goes on without a request.
    ['purge', 'reconcile'],
    ['routes'],
    ['start'],
    ['index', 'testing'],
  ],
  'apps/envd/src': [
    ['config', 'life-log', 'settings', 'sys'],
    ['host-gate', 'server', 'users'],
    ['filesystem'],
    ['process', 'watch'],
    ['context'],
    ['files', 'init', 'logs', 'metrics', 'ports', 'rpc', 'sudo'],
    ['resume'],
    ['routes'],
    ['serve-sandbox'],
    ['bundle', 'main', 'testing'],
  ],
  'apps/functions/src': [
    ['config', 'links', 'log', 'vault'],
    ['context'],
    ['definitions', 'kv'],
    ['link'],
    ['sandboxes'],
    ['functions'],
    ['service'],
    ['start'],
    ['index', 'testing'],
  ],
  'apps/code-interpreter/src/kernels': [
    ['bundle'],
    ['kernel', 'json-text'],
    ['process'],
    ['bash', 'java', 'javascript', 'jupyter'],
    ['languages'],
  ],
  'apps/code-interpreter/src': [
    ['config'],
    ['kernels'],
    ['server'],
    ['contexts'],
    ['context'],
    ['routes'],
    ['start'],
    ['main'],
  ],
  'apps/edge-worker/src': [['log'], ['link'], ['engine'], ['control', 'front'], ['start'], ['main']],
  'apps/runner/src': [
    ['background', 'image-map'],
    ['config'],
    ['host', 'envd', 'disk-budget'],
    ['registry', 'templates'],
    ['processes', 'metrics'],
    ['operations'],
    ['pool', 'builds', 'run', 'backup'],
    ['upkeep', 'serve'],
    ['testing'],
    ['context'],
    ['start'],
    ['process'],
    ['index'],
  ],
  'apps/runner/src/operations': [
    ['operation-context'],
    ['layers', 'pause', 'end', 'set-deadline'],
    ['resume', 'team-usage'],
    ['copies', 'team-limits'],
    ['create'],
  ],
  'apps/runner/src/builds': [
    ['build-spec', 'blob-reader', 'output-lines'],
    ['build-log'],
    ['steps'],
    ['cache'],
    ['images'],
    ['builds', 'build-sandbox'],
    ['capture', 'find-base', 'layer-stack', 'start-and-wait'],
    ['step-runner'],
    ['finish-build'],
    ['run-build'],
    ['started-templates'],
    ['testing'],
  ],
  // Server and clients below the commands; the table of commands above them.
  'apps/cli/src': [
    ['bundle', 'command-line', 'config', 'records'],
    ['output'],
    ['server'],
    ['api'],
    ['commands'],
    ['program'],
    ['main', 'testing'],
  ],
  'apps/cli/src/commands': [
    ['delete-command'],
    [
      'backup',
      'damaged',
      'events',
      'function',
      'host',
      'key',
      'run',
      'sandbox',
      'server',
      'team',
      'template',
      'webhook',
    ],
    ['snapshot'],
  ],
  'apps/box/src': [
    ['config', 'credentials', 'data-folder', 'drivers', 'instance-lock', 'local-address', 'recipes', 'server-file'],
    ['trial-bundle', 'trust'],
    ['backup', 'check-startable', 'client-environments', 'exposure', 'host-instances', 'settings', 'unmanaged'],
    ['claim'],
    ['start'],
    ['supervise'],
    ['index'],
  ],
  'apps/control/src': [
    ['backup', 'credentials', 'folders', 'keep-reserve'],
    ['start'],
    ['control-program'],
    ['index', 'main'],
  ],
  'apps/mcp-gateway/src': [['config'], ['upstream'], ['merged-server'], ['serve'], ['main']],
  'packages/process/src': [
    ['bind-tcp', 'descriptor-channel', 'helper-threads', 'message-channel', 'messages', 'node-flags'],
    ['system-call-filter', 'unit-socket', 'users'],
    ['drop-privileges', 'launch', 'run-part', 'unit'],
    ['index', 'testing'],
  ],
  'packages/rpc/src': [
    ['error-payload', 'limits', 'method-table', 'peer'],
    ['frame'],
    ['caller', 'run-call'],
    ['read-stream', 'serve-connection'],
    ['serve-socket', 'socket-transport'],
    ['index', 'testing'],
  ],
  'packages/routing/src': [
    ['hand-over', 'route-message', 'route-source', 'route-table', 'session', 'visits'],
    ['hand-ahead', 'route-changes'],
    ['route-feed'],
    ['remote-router', 'serve-routing'],
    ['index', 'testing'],
  ],
  // The detection knows the adapters, never the other way round.
  'packages/runtimes/src': [
    ['names'],
    ['sight'],
    ['package-json', 'runtime'],
    ['clues', 'project-file', 'version'],
    ['script-clues'],
    ['adapters'],
    ['detect'],
    ['index'],
  ],
  'packages/storage/src': [['blobs', 'reserve'], ['records'], ['conformance', 'index']],
  'packages/templates/src': [
    ['rootfs', 'run-with-lines', 'store'],
    ['debian', 'import'],
    ['recipes'],
    ['index', 'testing'],
  ],
  'packages/checkpoints/src': [
    ['digests', 'disk-facts', 'flush', 'names', 'sealed-json'],
    ['damage', 'damaged-checkpoints', 'flatten', 'manifest', 'part-files'],
    ['background-digests', 'checkpoint-store', 'follower'],
    ['disk-digests', 'open-checkpoint'],
    ['archive', 'draft', 'layers', 'sealed-checkpoints'],
    ['collect', 'drafts', 'link-into'],
    ['open-checkpoint-store'],
    ['index', 'testing'],
  ],
  'packages/host/src': [
    ['finding', 'install-packages', 'installation', 'launcher', 'probe', 'protection', 'sysctls', 'versions'],
    ['programs', 'system'],
    ['criu'],
    ['changes', 'check-tiers', 'checks', 'install-missing'],
    ['run-checks'],
    ['prepare-host'],
    ['index'],
  ],
  // The drivers stand beside each other: what both need is in `oci`.
  'packages/isolation/src': [
    ['cgroup', 'driver'],
    ['host'],
    ['root'],
    ['conformance', 'oci'],
    ['container', 'gvisor'],
    ['drivers'],
    ['index', 'testing'],
  ],
  'packages/isolation/src/container': [
    ['criu', 'layout', 'null-device', 'pager', 'runtime-state'],
    ['mounts'],
    ['oci-config'],
    ['host'],
    ['end-processes', 'probe', 'start', 'why-ended'],
    ['checkpoint'],
    ['freeze'],
    ['driver'],
    ['testing'],
  ],
  'packages/isolation/src/gvisor': [
    ['host', 'layout', 'runtime-state', 'seccomp-profile'],
    ['kernel-stopped', 'mounts'],
    ['oci-config'],
    ['alive', 'end-processes', 'runsc', 'why-ended'],
    ['freeze', 'start', 'trial'],
    ['adopt-starting', 'checkpoint', 'network-trap'],
    ['probe'],
    ['driver'],
    ['testing'],
  ],
  'apps/gateway/src': [
    ['config', 'exchange'],
    ['exposure', 'errors', 'routing'],
    ['tls', 'access-log', 'sandboxes'],
    ['forward', 'listen', 'certificate'],
    // Where a request goes: one file for each kind of target.
    ['destinations'],
    ['routes'],
    ['context'],
    ['start'],
    ['run-gateway'],
    ['index', 'main'],
    ['testing'],
  ],
  'packages/linux/src': [
    ['libc'],
    ['descriptors', 'file-attributes', 'flock', 'mounts', 'namespaces', 'processes', 'sockets'],
    ['netlink', 'unix-messages'],
  ],
  'packages/network/src': [
    ['cidr', 'nft-writer', 'outside'],
    ['address-plan', 'enter-namespace', 'flush-flows', 'policy', 'route-requests'],
    [
      'closed-namespace',
      'device-counters',
      'dial',
      'host-state',
      'link',
      'ruleset',
      'socket-diagnosis',
      'udp-refusals',
    ],
    ['tcp-sockets', 'unix-sockets'],
    ['close-outside', 'unaccepted'],
    ['network'],
    ['index', 'testing'],
  ],
  bench: [
    ['host', 'lab', 'processes', 'resident', 'time'],
    ['builds', 'first-output', 'measurement', 'phases'],
    ['engines', 'statistics'],
    ['large-template', 'results'],
    ['measurements', 'table'],
    ['main'],
  ],
  e2e: [
    ['edge-apis', 'global-setup', 'harness'],
    // `chaos` has what other long runs share: random choices, leftovers on the host.
    ['chaos', 'clients', 'fill', 'packages', 'run', 'upgrade', 'workloads'],
    ['crash', 'moments', 'soak'],
  ],
};

/** Imports against these rules that stand today, as `from -> to`. The list only shrinks: an entry that is not needed is an error. */
export const exceptions: readonly string[] = [];
