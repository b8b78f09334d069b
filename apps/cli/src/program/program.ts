import { defineCommand } from 'citty';
import type { CommandDef } from 'citty';
import { readInstallation } from '@soulbox/host/installation';

/** Commands are loaded when they are called: `soulbox env` must not load the server's code. */
export const program: CommandDef = defineCommand({
  meta: {
    name: 'soulbox',
    version: readInstallation().version,
    description: 'SoulBox: isolated sandboxes for AI agents on your own machine, for the E2B clients',
  },
  subCommands: {
    up: async () => (await import('../commands/server/up.ts')).up,
    down: async () => (await import('../commands/server/down.ts')).down,
    status: async () => (await import('../commands/server/status.ts')).status,
    env: async () => (await import('../commands/server/env.ts')).env,
    doctor: async () => (await import('../commands/host/doctor.ts')).doctor,
    setup: async () => (await import('../commands/host/setup.ts')).setup,
    uninstall: async () => (await import('../commands/host/uninstall.ts')).uninstall,
    run: async () => (await import('../commands/run/run.ts')).run,
    sandbox: defineCommand({
      meta: {
        name: 'sandbox',
        description:
          'Sandboxes: list, info, create, exec, connect, cp, sync, ls, cat, edit, pause, resume, timeout, fork, snapshot, export, network, metrics, kill',
      },
      subCommands: {
        list: async () => (await import('../commands/sandbox/list.ts')).listSandboxes,
        info: async () => (await import('../commands/sandbox/info.ts')).showSandbox,
        create: async () => (await import('../commands/sandbox/create.ts')).createSandbox,
        pause: async () => (await import('../commands/sandbox/pause.ts')).pauseSandbox,
        resume: async () => (await import('../commands/sandbox/resume.ts')).resumeSandbox,
        timeout: async () => (await import('../commands/sandbox/timeout.ts')).setSandboxTimeout,
        fork: async () => (await import('../commands/sandbox/fork.ts')).forkSandbox,
        snapshot: async () => (await import('../commands/sandbox/snapshot.ts')).snapshotSandbox,
        network: async () => (await import('../commands/sandbox/network.ts')).sandboxNetwork,
        connections: async () => (await import('../commands/sandbox/connections.ts')).sandboxConnections,
        learned: async () => (await import('../commands/sandbox/learned.ts')).learnedNetwork,
        metrics: async () => (await import('../commands/sandbox/metrics.ts')).sandboxMetrics,
        kill: async () => (await import('../commands/sandbox/kill.ts')).killSandbox,
        export: async () => (await import('../commands/sandbox/export.ts')).exportSandbox,
        exec: async () => (await import('../commands/sandbox/exec.ts')).execInSandbox,
        connect: async () => (await import('../commands/sandbox/connect.ts')).connectSandbox,
        processes: async () => (await import('../commands/sandbox/processes.ts')).listSandboxProcesses,
        attach: async () => (await import('../commands/sandbox/attach.ts')).attachProcessOfSandbox,
        'port-forward': async () => (await import('../commands/sandbox/port-forward.ts')).forwardPorts,
        logs: async () => (await import('../commands/sandbox/logs.ts')).sandboxLogs,
        top: async () => (await import('../commands/sandbox/top.ts')).topSandboxes,
        inspect: async () => (await import('../commands/sandbox/inspect.ts')).inspectSandbox,
        recover: async () => (await import('../commands/sandbox/recover.ts')).recoverSandboxes,
        cp: async () => (await import('../commands/sandbox/cp.ts')).copyFiles,
        cat: async () => (await import('../commands/sandbox/cat.ts')).printFile,
        ls: async () => (await import('../commands/sandbox/ls.ts')).listFiles,
        sync: async () => (await import('../commands/sandbox/sync.ts')).syncFolder,
        edit: async () => (await import('../commands/sandbox/edit.ts')).editFile,
      },
    }),
    audit: defineCommand({
      meta: {
        name: 'audit',
        description: 'The audit log: status, list, verify, export; of the host: prune, erase, hold',
      },
      subCommands: {
        status: async () => (await import('../commands/audit/status.ts')).auditStatus,
        list: async () => (await import('../commands/audit/list.ts')).listAudit,
        verify: async () => (await import('../commands/audit/verify.ts')).verifyAudit,
        export: async () => (await import('../commands/audit/export.ts')).exportAudit,
        prune: async () => (await import('../commands/audit/prune.ts')).pruneAudit,
        erase: async () => (await import('../commands/audit/erase.ts')).eraseAudit,
        hold: async () => (await import('../commands/audit/hold.ts')).holdAudit,
      },
    }),
    context: defineCommand({
      meta: { name: 'context', description: 'Servers by name: list, create, use, show, delete' },
      subCommands: {
        list: async () => (await import('../commands/context/list.ts')).listContexts,
        create: async () => (await import('../commands/context/create.ts')).createContext,
        use: async () => (await import('../commands/context/use.ts')).applyContext,
        show: async () => (await import('../commands/context/show.ts')).showContext,
        delete: async () => (await import('../commands/context/delete.ts')).deleteContext,
      },
    }),
    config: defineCommand({
      meta: { name: 'config', description: 'Settings of the command line: list, get, set, unset, path' },
      subCommands: {
        list: async () => (await import('../commands/config/list.ts')).listSettings,
        get: async () => (await import('../commands/config/get.ts')).getSetting,
        set: async () => (await import('../commands/config/set.ts')).setSetting,
        unset: async () => (await import('../commands/config/unset.ts')).unsetSetting,
        path: async () => (await import('../commands/config/path.ts')).showSettingsPath,
      },
    }),
    volume: defineCommand({
      meta: {
        name: 'volume',
        description: 'Volumes and their files: create, clone, snapshot, list, usage, ls, cat, cp, mv, rm, delete',
      },
      subCommands: {
        create: async () => (await import('../commands/volume/create.ts')).createVolume,
        clone: async () => (await import('../commands/volume/copy.ts')).cloneVolume,
        snapshot: async () => (await import('../commands/volume/copy.ts')).snapshotVolume,
        list: async () => (await import('../commands/volume/list.ts')).listVolumes,
        usage: async () => (await import('../commands/volume/usage.ts')).showVolumeUsage,
        ls: async () => (await import('../commands/volume/ls.ts')).listVolumeFiles,
        cat: async () => (await import('../commands/volume/cat.ts')).printVolumeFile,
        cp: async () => (await import('../commands/volume/cp.ts')).copyVolumeFile,
        mv: async () => (await import('../commands/volume/mv.ts')).moveVolumeFile,
        rm: async () => (await import('../commands/volume/rm.ts')).removeVolumeFile,
        delete: async () => (await import('../commands/volume/delete.ts')).deleteVolume,
      },
    }),
    bucket: defineCommand({
      meta: {
        name: 'bucket',
        description: 'Buckets of object stores for sandboxes: create, list, get, update, check, delete',
      },
      subCommands: {
        create: async () => (await import('../commands/bucket/create.ts')).createBucket,
        list: async () => (await import('../commands/bucket/list.ts')).listBuckets,
        get: async () => (await import('../commands/bucket/get.ts')).getBucket,
        update: async () => (await import('../commands/bucket/update.ts')).updateBucket,
        check: async () => (await import('../commands/bucket/check.ts')).checkBucket,
        delete: async () => (await import('../commands/bucket/delete.ts')).deleteBucket,
      },
    }),
    snapshot: defineCommand({
      meta: { name: 'snapshot', description: 'Snapshots of sandboxes: list, fork, export, delete' },
      subCommands: {
        list: async () => (await import('../commands/snapshot/list.ts')).listSnapshots,
        fork: async () => (await import('../commands/snapshot/fork.ts')).forkSnapshot,
        export: async () => (await import('../commands/snapshot/export.ts')).exportSnapshot,
        delete: async () => (await import('../commands/snapshot/delete.ts')).deleteSnapshot,
      },
    }),
    import: async () => (await import('../commands/export/import.ts')).importSnapshot,
    diff: async () => (await import('../commands/export/diff.ts')).diffExports,
    inspect: async () => (await import('../commands/export/inspect.ts')).inspectExport,
    backup: defineCommand({
      meta: { name: 'backup', description: 'Backups of a server: create, restore' },
      subCommands: {
        create: async () => (await import('../commands/backup/create.ts')).createBackup,
        restore: async () => (await import('../commands/backup/restore.ts')).restoreBackup,
      },
    }),
    storage: defineCommand({
      meta: { name: 'storage', description: 'Object stores: key, status, recover, check' },
      subCommands: {
        key: async () => (await import('../commands/storage/key.ts')).printStorageKey,
        status: async () => (await import('../commands/storage/status.ts')).showStorage,
        recover: async () => (await import('../commands/storage/recover.ts')).recoverStorage,
        check: async () => (await import('../commands/storage/check.ts')).checkStorage,
      },
    }),
    damaged: defineCommand({
      meta: {
        name: 'damaged',
        description: 'Damaged checkpoints that are kept for inspection: list, delete',
      },
      subCommands: {
        list: async () => (await import('../commands/damaged/list.ts')).listDamaged,
        delete: async () => (await import('../commands/damaged/delete.ts')).deleteDamaged,
      },
    }),
    function: defineCommand({
      meta: {
        name: 'function',
        description:
          'Edge functions: deploy, list, info, versions, invoke, logs, rollback, set-secrets, delete-secret, delete',
      },
      subCommands: {
        deploy: async () => (await import('../commands/function/deploy.ts')).deployFunction,
        list: async () => (await import('../commands/function/list.ts')).listFunctions,
        info: async () => (await import('../commands/function/info.ts')).showFunction,
        versions: async () => (await import('../commands/function/versions.ts')).listVersions,
        invoke: async () => (await import('../commands/function/invoke.ts')).invokeFunction,
        logs: async () => (await import('../commands/function/logs.ts')).functionLogs,
        rollback: async () => (await import('../commands/function/rollback.ts')).rollbackFunction,
        'set-secrets': async () => (await import('../commands/function/secrets.ts')).setFunctionSecrets,
        'delete-secret': async () => (await import('../commands/function/secrets.ts')).deleteFunctionSecret,
        delete: async () => (await import('../commands/function/delete.ts')).deleteFunction,
      },
    }),
    kv: defineCommand({
      meta: { name: 'kv', description: 'Key-value namespaces of functions: list, delete' },
      subCommands: {
        list: async () => (await import('../commands/kv/list.ts')).listNamespaces,
        delete: async () => (await import('../commands/kv/delete.ts')).deleteNamespace,
      },
    }),
    completion: async () => (await import('./completion.ts')).completionOf(program),
    mcp: async () => (await import('../commands/mcp/mcp.ts')).mcp,
    events: async () => (await import('../commands/events/events.ts')).events,
    webhook: defineCommand({
      meta: {
        name: 'webhook',
        description: 'Webhooks, which deliver events to a URL: create, list, show, update, delete',
      },
      subCommands: {
        create: async () => (await import('../commands/webhook/create.ts')).createWebhook,
        list: async () => (await import('../commands/webhook/list.ts')).listWebhooks,
        show: async () => (await import('../commands/webhook/show.ts')).showWebhook,
        update: async () => (await import('../commands/webhook/update.ts')).updateWebhook,
        delete: async () => (await import('../commands/webhook/delete.ts')).deleteWebhook,
      },
    }),
    secret: defineCommand({
      meta: { name: 'secret', description: 'Secrets of the team: create, list, show, update, set, delete' },
      subCommands: {
        create: async () => (await import('../commands/secret/create.ts')).createSecret,
        list: async () => (await import('../commands/secret/list.ts')).listSecrets,
        show: async () => (await import('../commands/secret/show.ts')).showSecret,
        update: async () => (await import('../commands/secret/update.ts')).updateSecret,
        set: async () => (await import('../commands/secret/set.ts')).setSecret,
        delete: async () => (await import('../commands/secret/delete.ts')).deleteSecret,
      },
    }),
    team: defineCommand({
      meta: {
        name: 'team',
        description:
          'Teams, each with its own keys and sandboxes: create, list, limits, usage, metrics, delete; their members: member',
      },
      subCommands: {
        create: async () => (await import('../commands/team/create.ts')).createTeam,
        list: async () => (await import('../commands/team/list.ts')).listTeams,
        limits: async () => (await import('../commands/team/limits.ts')).limitTeam,
        usage: async () => (await import('../commands/team/usage.ts')).showTeamUsage,
        metrics: async () => (await import('../commands/team/metrics.ts')).showTeamMetrics,
        delete: async () => (await import('../commands/team/delete.ts')).deleteTeam,
        member: defineCommand({
          meta: { name: 'member', description: 'Members of a team: add, list, remove' },
          subCommands: {
            add: async () => (await import('../commands/user/add-member.ts')).addMember,
            list: async () => (await import('../commands/user/list-members.ts')).listMembers,
            remove: async () => (await import('../commands/user/remove-member.ts')).removeMember,
          },
        }),
      },
    }),
    auth: defineCommand({
      meta: { name: 'auth', description: 'Sign-in of a person: login, logout, status' },
      subCommands: {
        login: async () => (await import('../commands/auth/login.ts')).login,
        logout: async () => (await import('../commands/auth/logout.ts')).logout,
        status: async () => (await import('../commands/auth/status.ts')).status,
      },
    }),
    token: defineCommand({
      meta: { name: 'token', description: 'Personal tokens of the signed-in person: list, revoke' },
      subCommands: {
        list: async () => (await import('../commands/token/list.ts')).listTokens,
        revoke: async () => (await import('../commands/token/revoke.ts')).revokeToken,
      },
    }),
    user: defineCommand({
      meta: { name: 'user', description: 'People who may sign in: add, list, remove' },
      subCommands: {
        add: async () => (await import('../commands/user/add.ts')).addUser,
        list: async () => (await import('../commands/user/list.ts')).listUsers,
        remove: async () => (await import('../commands/user/remove.ts')).removeUser,
      },
    }),
    key: defineCommand({
      meta: {
        name: 'key',
        description:
          'Keys: create, list, rename, budget, revoke (or delete); of SSH: add-ssh, list-ssh, remove-ssh; of signed URLs: rotate-signing, list-signing, end-signing; the master key: create-master, rotate-master',
      },
      subCommands: {
        create: async () => (await import('../commands/key/create.ts')).createKey,
        list: async () => (await import('../commands/key/list.ts')).listKeys,
        rename: async () => (await import('../commands/key/rename.ts')).renameKey,
        budget: async () => (await import('../commands/key/budget.ts')).budgetKey,
        revoke: async () => (await import('../commands/key/revoke.ts')).revokeKey,
        delete: async () => (await import('../commands/key/revoke.ts')).deleteKey,
        'add-ssh': async () => (await import('../commands/key/ssh-keys.ts')).addSshKey,
        'list-ssh': async () => (await import('../commands/key/ssh-keys.ts')).listSshKeys,
        'remove-ssh': async () => (await import('../commands/key/ssh-keys.ts')).removeSshKey,
        'rotate-signing': async () => (await import('../commands/key/rotate-signing.ts')).rotateSigning,
        'list-signing': async () => (await import('../commands/key/signing-keys.ts')).listSigningKeys,
        'end-signing': async () => (await import('../commands/key/signing-keys.ts')).endSigningKey,
        'create-master': async () => (await import('../commands/key/create-master.ts')).createMasterKey,
        'rotate-master': async () => (await import('../commands/key/rotate-master.ts')).rotateMaster,
      },
    }),
    'ssh-config': async () => (await import('../commands/ssh/ssh-config.ts')).sshConfig,
    sign: async () => (await import('../commands/sign/sign.ts')).sign,
    template: defineCommand({
      meta: {
        name: 'template',
        description:
          'Templates: build, list, show, status, logs, tag, publish, unpublish, delete; on the host: make, import, remove',
      },
      subCommands: {
        build: async () => (await import('../commands/template/build.ts')).buildTemplate,
        list: async () => (await import('../commands/template/list.ts')).listTemplates,
        show: async () => (await import('../commands/template/show.ts')).showTemplate,
        status: async () => (await import('../commands/template/status.ts')).templateStatus,
        logs: async () => (await import('../commands/template/logs.ts')).templateLogs,
        tag: async () => (await import('../commands/template/tag.ts')).tagTemplate,
        publish: async () => (await import('../commands/template/publish.ts')).publishTemplate,
        unpublish: async () => (await import('../commands/template/publish.ts')).unpublishTemplate,
        delete: async () => (await import('../commands/template/delete.ts')).deleteTemplate,
        make: async () => (await import('../commands/template/make.ts')).make,
        import: async () => (await import('../commands/template/import.ts')).importCommand,
        remove: async () => (await import('../commands/template/remove.ts')).removeTemplate,
      },
    }),
  },
});

export const epilogue = `EXAMPLE

  sudo soulbox up --detach              start the server; the first time it prepares the host and builds a template
  eval "$(sudo soulbox env)"            tell the E2B clients where it is
  node --input-type=module -e "
    import { Sandbox } from 'e2b';
    const sandbox = await Sandbox.create();
    console.log((await sandbox.commands.run('python3 -c \\"print(6 * 7)\\"')).stdout);
    await sandbox.kill();"
  sudo soulbox down                     end the server and its sandboxes
`;
