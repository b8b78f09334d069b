import type { AuditClass } from '@soulbox/audit';

/**
 * How a route is recorded.
 *
 * - `effect`: it acts outside of the records. Recorded before (`admitted`) and after (`outcome`).
 * - `always`: the same, but it is never refused because it cannot be recorded.
 * - `record`: it changes only the records. Its handler commits the change together with `auditNote(request)`.
 * - `read`: reading that is itself recorded, afterwards.
 * - `none`: reading that is not recorded, and what has no team.
 */
export type AuditedRoute =
  | {
      readonly how: 'effect' | 'always' | 'record' | 'read';
      readonly action: string;
      readonly class: AuditClass;
      /** Kind of the target. */
      readonly target: string;
      /** The path parameter with the id of the target. */
      readonly param?: string;
      /** The member of the response's body with the id of what was made, or found by another name. */
      readonly made?: string;
    }
  | { readonly how: 'none' };

const none = { how: 'none' } as const;
const sandbox = { class: 'operation', target: 'sandbox', param: 'sandboxID' } as const;
const template = { class: 'operation', target: 'template', param: 'templateID' } as const;
const functions = { class: 'operation', target: 'function', param: 'name' } as const;
const key = { class: 'security', target: 'key', param: 'apiKeyID' } as const;
const secret = { class: 'security', target: 'secret', param: 'secretID' } as const;
const bucket = { class: 'security', target: 'bucket', param: 'bucketID' } as const;
const signingKey = { class: 'security', target: 'signing-key', param: 'signingKeyID' } as const;
const sshKey = { class: 'security', target: 'ssh-key', param: 'sshKeyID' } as const;
const volume = { class: 'operation', target: 'volume', param: 'volumeID' } as const;
const webhook = { class: 'operation', target: 'webhook', param: 'webhookID' } as const;

const create = { how: 'effect', action: 'sandbox.create', ...sandbox, made: 'sandboxID' } as const;
const connect = { how: 'effect', action: 'sandbox.connect', ...sandbox } as const;
const publish = { how: 'record', action: 'template.publish', ...template } as const;

/** Reading, and what acts for no team. */
const unrecorded = [
  'GET /health',
  'GET /openapi.json',
  'GET /.well-known/jwks.json',
  'GET /.well-known/openid-configuration',
  'GET /',
  'GET /docs/:name',
  'GET /dashboard/inspect/sandbox/:sandboxID',
  'POST /dashboard/inspect/sandbox/:sandboxID',
  'POST /dashboard/sign-out',
  'POST /host/backup-stage',
  'GET /sandboxes',
  'GET /v2/sandboxes',
  'GET /sandboxes/:sandboxID',
  'GET /sandboxes/:sandboxID/metrics',
  'GET /sandboxes/:sandboxID/metrics/history',
  'GET /sandboxes/:sandboxID/metrics/custom',
  'GET /sandboxes/metrics',
  'GET /sandboxes/:sandboxID/connections',
  'GET /sandboxes/:sandboxID/network/learned',
  'GET /sandboxes/:sandboxID/logs',
  'GET /v2/sandboxes/:sandboxID/logs',
  'GET /snapshots',
  'GET /templates',
  'GET /v2/templates',
  'GET /templates/:templateID',
  'GET /templates/aliases/:alias',
  'GET /templates/:templateID/tags',
  'GET /templates/:templateID/files/:hash',
  'GET /templates/:templateID/builds/:buildID/status',
  'GET /templates/:templateID/builds/:buildID/logs',
  'GET /events/sandboxes',
  'GET /events/sandboxes/:sandboxID',
  'GET /events/webhooks',
  'GET /events/webhooks/:webhookID',
  'GET /api-keys',
  'GET /ssh',
  'GET /ssh-keys',
  'GET /teams',
  'GET /teams/:teamID/usage',
  'GET /teams/:teamID/metrics',
  'GET /teams/:teamID/limits',
  'GET /api-keys/:apiKeyID/budgets',
  'GET /functions',
  'GET /functions/:name',
  'GET /functions/:name/versions',
  'GET /functions/:name/logs',
  'GET /kv',
  'GET /buckets',
  'GET /buckets/:bucketID',
  'GET /volumes',
  'GET /volumes/:volumeID',
  'GET /volumes/:volumeID/usage',
  // Their handlers count the uses.
  'GET /volumecontent/:volumeID/dir',
  'POST /volumecontent/:volumeID/dir',
  'GET /volumecontent/:volumeID/path',
  'PATCH /volumecontent/:volumeID/path',
  'DELETE /volumecontent/:volumeID/path',
  'POST /volumecontent/:volumeID/rename',
  'GET /volumecontent/:volumeID/file',
  'PUT /volumecontent/:volumeID/file',
  'GET /metrics',
  'GET /host/storage',
  // Of a person, for no team: the rooms sign-in and personal-tokens record them in the log of each team of theirs.
  'GET /auth/sign-in',
  'GET /auth/start',
  'GET /auth/callback',
  'GET /account',
  'GET /auth/session',
  'DELETE /auth/session',
  'POST /auth/sign-out',
  'GET /auth/signed-out',
  'POST /auth/backchannel-logout',
  'GET /personal-tokens',
  'POST /personal-tokens',
  'DELETE /personal-tokens/:tokenID',
  'GET /personal-ssh-keys',
  'POST /personal-ssh-keys',
  'DELETE /personal-ssh-keys/:sshKeyID',
  'POST /auth/device-code',
  'GET /auth/device',
  'POST /auth/device',
  'POST /auth/token',
  'POST /auth/revoke',
  'GET /docs/api/cli',
  'POST /docs/api/cli',
  // Not available yet.
  'POST /templates',
  'POST /templates/:templateID',
  'POST /templates/:templateID/builds/:buildID',
  'GET /teams/:teamID/metrics/max',
];

/** Every route of the API, by method and path. A test fails for a route without an entry, and for an entry without a route. */
export const auditedRoutes: Readonly<Record<string, AuditedRoute>> = {
  ...Object.fromEntries(unrecorded.map((route) => [route, none])),
  'POST /sandboxes': create,
  'POST /v2/sandboxes': create,
  'DELETE /sandboxes/:sandboxID': { how: 'always', action: 'sandbox.kill', ...sandbox },
  'POST /sandboxes/:sandboxID/pause': { how: 'always', action: 'sandbox.pause', ...sandbox },
  'POST /sandboxes/:sandboxID/resume': { how: 'effect', action: 'sandbox.resume', ...sandbox },
  'POST /sandboxes/:sandboxID/connect': connect,
  'POST /v2/sandboxes/:sandboxID/connect': connect,
  'POST /sandboxes/:sandboxID/fork': { how: 'effect', action: 'sandbox.fork', ...sandbox },
  'POST /sandboxes/:sandboxID/run': { how: 'effect', action: 'sandbox.run', ...sandbox },
  'PUT /sandboxes/:sandboxID/network': { how: 'effect', action: 'sandbox.network', ...sandbox },
  'POST /sandboxes/:sandboxID/timeout': { how: 'effect', action: 'sandbox.timeout', ...sandbox },
  'POST /sandboxes/:sandboxID/refreshes': { how: 'effect', action: 'sandbox.refresh', ...sandbox },
  'POST /sandboxes/:sandboxID/snapshots': { how: 'effect', action: 'sandbox.snapshot', ...sandbox, made: 'snapshotID' },
  'POST /snapshots/:snapshotID/fork': {
    ...{ how: 'effect', action: 'snapshot.fork', class: 'operation', target: 'snapshot', param: 'snapshotID' },
  },
  'DELETE /snapshots/:snapshotID': {
    ...{ how: 'effect', action: 'snapshot.delete', class: 'operation', target: 'snapshot', param: 'snapshotID' },
  },
  'GET /sandboxes/:sandboxID/export': { how: 'effect', action: 'sandbox.export', ...sandbox },
  'GET /snapshots/:snapshotID/export': {
    ...{ how: 'effect', action: 'snapshot.export', class: 'operation', target: 'snapshot', param: 'snapshotID' },
  },
  'POST /imports': {
    ...{ how: 'effect', action: 'snapshot.import', class: 'operation', target: 'snapshot', made: 'snapshotID' },
  },
  'POST /v3/templates': { how: 'effect', action: 'template.build', ...template, made: 'templateID' },
  'POST /v2/templates': { how: 'effect', action: 'template.build', ...template, made: 'templateID' },
  'POST /v2/templates/:templateID/builds/:buildID': {
    how: 'effect',
    action: 'build.start',
    class: 'operation',
    target: 'build',
    param: 'buildID',
  },
  'PUT /templates/:templateID/files/:hash': {
    ...{ how: 'effect', action: 'build-file.upload', class: 'operation', target: 'build-file', param: 'hash' },
  },
  'PATCH /v2/templates/:templateID': publish,
  'PATCH /templates/:templateID': publish,
  'POST /templates/tags': {
    how: 'effect',
    action: 'template.tag',
    class: 'operation',
    target: 'template',
    made: 'buildID',
  },
  'DELETE /templates/tags': { how: 'effect', action: 'template.untag', class: 'operation', target: 'template' },
  'DELETE /templates/:templateID': { how: 'effect', action: 'template.delete', ...template },
  'POST /api-keys': { how: 'record', action: 'key.create', ...key, made: 'id' },
  'PATCH /api-keys/:apiKeyID': { how: 'record', action: 'key.rename', ...key },
  'DELETE /api-keys/:apiKeyID': { how: 'record', action: 'key.revoke', ...key },
  'POST /ssh-keys': { how: 'record', action: 'ssh-key.add', ...sshKey, made: 'sshKeyID' },
  'DELETE /ssh-keys/:sshKeyID': { how: 'record', action: 'ssh-key.remove', ...sshKey },
  'PUT /api-keys/:apiKeyID/budgets': { how: 'record', action: 'key.set-budgets', ...key },
  // Its handler writes the record, because the administrator has no team.
  'PATCH /teams/:teamID/limits': {
    ...{ how: 'record', action: 'team.set-limits', class: 'security', target: 'team', param: 'teamID' },
  },
  'POST /events/webhooks': { how: 'record', action: 'webhook.create', ...webhook, made: 'id' },
  'PATCH /events/webhooks/:webhookID': { how: 'record', action: 'webhook.update', ...webhook },
  'DELETE /events/webhooks/:webhookID': { how: 'record', action: 'webhook.delete', ...webhook },
  'POST /functions': { how: 'effect', action: 'function.create', ...functions, made: 'name' },
  'POST /functions/:name/versions': { how: 'effect', action: 'function.deploy', ...functions },
  'POST /functions/:name/rollback': { how: 'effect', action: 'function.rollback', ...functions },
  'PUT /functions/:name/secrets': { how: 'effect', action: 'function.set-secrets', ...functions, class: 'security' },
  'DELETE /functions/:name/secrets/:secret': {
    how: 'effect',
    action: 'function.remove-secret',
    ...functions,
    class: 'security',
  },
  'POST /functions/:name/invoke': { how: 'effect', action: 'function.invoke', ...functions },
  'DELETE /functions/:name': { how: 'effect', action: 'function.delete', ...functions },
  'POST /volumes': { how: 'record', action: 'volume.create', ...volume, made: 'volumeID' },
  'DELETE /volumes/:volumeID': { how: 'record', action: 'volume.delete', ...volume },
  'POST /buckets': { how: 'record', action: 'bucket.create', ...bucket, made: 'bucketID' },
  'PATCH /buckets/:bucketID': { how: 'record', action: 'bucket.update', ...bucket },
  'DELETE /buckets/:bucketID': { how: 'record', action: 'bucket.delete', ...bucket },
  'POST /buckets/:bucketID/check': { how: 'effect', action: 'bucket.check', ...bucket },
  'GET /secrets': { how: 'read', action: 'secret.list', ...secret },
  'GET /secrets/:secretID': { how: 'read', action: 'secret.read', ...secret, made: 'secretID' },
  'POST /secrets': { how: 'record', action: 'secret.create', ...secret, made: 'secretID' },
  'POST /secrets/:secretID': { how: 'record', action: 'secret.update', ...secret },
  'PATCH /secrets/:secretID': { how: 'record', action: 'secret.set-hosts', ...secret },
  'DELETE /secrets/:secretID': { how: 'record', action: 'secret.delete', ...secret },
  'POST /signed-urls': { how: 'effect', action: 'signed-url.create', class: 'security', target: 'signed-url' },
  'GET /signing-keys': none,
  'POST /signing-keys': { how: 'record', action: 'signing-key.create', ...signingKey, made: 'id' },
  'DELETE /signing-keys/:signingKeyID': { how: 'record', action: 'signing-key.revoke', ...signingKey },
  'GET /audit': { how: 'read', action: 'audit.read', class: 'reading', target: 'log' },
  'GET /audit/records': { how: 'read', action: 'audit.read', class: 'reading', target: 'log' },
  'GET /audit/log/*': { how: 'none' },
  'GET /audit/export': { how: 'read', action: 'audit.export', class: 'reading', target: 'log' },
  'DELETE /kv/:name': { how: 'effect', action: 'kv.delete', class: 'operation', target: 'kv', param: 'name' },
};
