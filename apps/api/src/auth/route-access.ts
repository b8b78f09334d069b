import type { Scope } from './scopes.ts';

/**
 * Who may call a route.
 *
 * - `scope`: the scope that the key needs; `any`: a valid key is enough.
 * - `templates`: what a key that is restricted to templates gets. `checked`: the things of its templates, because the
 *   route finds things through `lookup/`; others look as if they did not exist. `open`: the same as other keys, because
 *   the route shows nothing of a template. `refused`: 403.
 * - `streams`: the response goes on for as long as there is something to send. It ends when the key does.
 * - `keyless`: no key opens it, or it opens without one. `anyone`: health and pages, which may ask for a key or a sign-in.
 *   `operator`: only a token of the operator. `person`: a person, who acts for no team.
 *
 * A person who acts for a team (`admit-person.ts`) has the scopes of their role, and no restriction to templates.
 */
export type RouteAccess =
  | {
      readonly scope: Scope | 'any';
      readonly templates: 'checked' | 'open' | 'refused';
      readonly streams?: true;
    }
  | { readonly keyless: 'anyone' | 'operator' | 'person' };

const keyless = { keyless: 'anyone' } as const;
const operator = { keyless: 'operator' } as const;
const person = { keyless: 'person' } as const;
const create = { scope: 'create', templates: 'checked' } as const;
const make = { scope: 'create', templates: 'refused' } as const;
const run = { scope: 'run', templates: 'checked' } as const;
const use = { scope: 'run', templates: 'refused' } as const;
const read = { scope: 'read', templates: 'checked' } as const;
const readAll = { scope: 'read', templates: 'refused' } as const;
const admin = { scope: 'admin', templates: 'refused' } as const;

/**
 * Every route of the API, by method and path. A route without an entry refuses every caller, and a test fails for it.
 * `auth/permit.ts` enforces the table before the body of a request is read.
 */
export const routeAccess: Readonly<Record<string, RouteAccess>> = {
  'GET /health': keyless,
  'GET /openapi.json': keyless,
  'GET /': keyless,
  'GET /docs/:name': keyless,
  'GET /.well-known/jwks.json': keyless,
  'GET /.well-known/openid-configuration': keyless,
  'POST /dashboard/inspect/sandbox/:sandboxID': keyless,
  'POST /dashboard/sign-out': keyless,
  'POST /host/backup-stage': operator,
  'GET /host/storage': operator,
  'GET /dashboard/inspect/sandbox/:sandboxID': read,

  'POST /sandboxes': create,
  'POST /v2/sandboxes': create,
  'GET /sandboxes': { ...read, streams: true },
  'GET /v2/sandboxes': read,
  'GET /sandboxes/metrics': read,
  'GET /sandboxes/:sandboxID': read,
  'GET /sandboxes/:sandboxID/metrics': read,
  'GET /sandboxes/:sandboxID/metrics/history': read,
  'GET /sandboxes/:sandboxID/metrics/custom': read,
  'GET /sandboxes/:sandboxID/logs': read,
  'GET /sandboxes/:sandboxID/connections': readAll,
  'GET /sandboxes/:sandboxID/network/learned': read,
  'GET /v2/sandboxes/:sandboxID/logs': read,
  'DELETE /sandboxes/:sandboxID': run,
  'POST /sandboxes/:sandboxID/pause': run,
  'POST /sandboxes/:sandboxID/resume': run,
  'POST /sandboxes/:sandboxID/connect': run,
  'POST /v2/sandboxes/:sandboxID/connect': run,
  'POST /sandboxes/:sandboxID/timeout': run,
  'POST /sandboxes/:sandboxID/refreshes': run,
  'POST /sandboxes/:sandboxID/run': { ...run, streams: true },
  'PUT /sandboxes/:sandboxID/network': run,
  'POST /sandboxes/:sandboxID/fork': create,

  'POST /sandboxes/:sandboxID/snapshots': make,
  'POST /snapshots/:snapshotID/fork': make,
  'DELETE /snapshots/:snapshotID': make,
  'GET /snapshots': readAll,
  // Whoever may run programs in a sandbox can read its files and its memory, too.
  'GET /sandboxes/:sandboxID/export': { ...run, streams: true },
  'GET /snapshots/:snapshotID/export': { scope: 'run', templates: 'refused', streams: true },
  'POST /imports': make,

  'GET /templates': read,
  'GET /v2/templates': read,
  'GET /templates/:templateID': read,
  'GET /templates/aliases/:alias': read,
  'GET /templates/:templateID/tags': readAll,
  'GET /templates/:templateID/builds/:buildID/status': readAll,
  'GET /templates/:templateID/builds/:buildID/logs': readAll,
  'GET /templates/:templateID/files/:hash': make,
  'PUT /templates/:templateID/files/:hash': make,
  'POST /templates': make,
  'POST /v2/templates': make,
  'POST /v3/templates': make,
  'POST /templates/:templateID': make,
  'PATCH /templates/:templateID': make,
  'PATCH /v2/templates/:templateID': make,
  'DELETE /templates/:templateID': make,
  'POST /templates/tags': make,
  'DELETE /templates/tags': make,
  'POST /templates/:templateID/builds/:buildID': make,
  'POST /v2/templates/:templateID/builds/:buildID': make,

  'GET /functions': readAll,
  'GET /functions/:name': readAll,
  'GET /functions/:name/versions': readAll,
  'GET /functions/:name/logs': readAll,
  'POST /functions': make,
  'POST /functions/:name/versions': make,
  'POST /functions/:name/rollback': make,
  'PUT /functions/:name/secrets': make,
  'DELETE /functions/:name/secrets/:secret': make,
  'DELETE /functions/:name': make,
  'POST /functions/:name/invoke': { scope: 'run', templates: 'refused' },
  'GET /kv': readAll,
  'DELETE /kv/:name': make,

  'GET /volumes': readAll,
  'POST /volumes': make,
  'GET /volumes/:volumeID': readAll,
  'DELETE /volumes/:volumeID': make,
  'GET /volumes/:volumeID/usage': readAll,
  // Programs in sandboxes use what is in a volume, so whoever may run them can read and write it.
  'GET /volumecontent/:volumeID/dir': { ...use, streams: true },
  'POST /volumecontent/:volumeID/dir': use,
  'GET /volumecontent/:volumeID/path': use,
  'PATCH /volumecontent/:volumeID/path': use,
  'DELETE /volumecontent/:volumeID/path': use,
  'POST /volumecontent/:volumeID/rename': use,
  'GET /volumecontent/:volumeID/file': { ...use, streams: true },
  'PUT /volumecontent/:volumeID/file': { ...use, streams: true },

  'GET /events/sandboxes': readAll,
  'GET /events/sandboxes/:sandboxID': readAll,
  'GET /teams/:teamID/usage': readAll,
  'GET /teams/:teamID/limits': readAll,
  'PATCH /teams/:teamID/limits': operator,
  'GET /teams/:teamID/metrics': readAll,
  'GET /teams/:teamID/metrics/max': readAll,
  'GET /metrics': readAll,
  'GET /teams': { scope: 'any', templates: 'open' },

  // The scope follows from what the URL opens: `accessOfSigned`.
  'POST /signed-urls': { scope: 'any', templates: 'checked' },
  'GET /signing-keys': admin,
  'POST /signing-keys': admin,
  'DELETE /signing-keys/:signingKeyID': admin,
  'GET /api-keys': admin,
  'POST /api-keys': admin,
  'PATCH /api-keys/:apiKeyID': admin,
  'DELETE /api-keys/:apiKeyID': admin,
  'GET /api-keys/:apiKeyID/budgets': readAll,
  'PUT /api-keys/:apiKeyID/budgets': admin,
  'GET /ssh': { scope: 'any', templates: 'open' },
  'GET /ssh-keys': admin,
  'POST /ssh-keys': admin,
  'DELETE /ssh-keys/:sshKeyID': admin,
  // They have credentials of the team. Whoever may mount one may also check it.
  'GET /buckets': readAll,
  'POST /buckets': admin,
  'GET /buckets/:bucketID': readAll,
  'PATCH /buckets/:bucketID': admin,
  'DELETE /buckets/:bucketID': admin,
  'POST /buckets/:bucketID/check': use,
  'GET /secrets': admin,
  'POST /secrets': admin,
  'GET /secrets/:secretID': admin,
  'POST /secrets/:secretID': admin,
  'PATCH /secrets/:secretID': admin,
  'DELETE /secrets/:secretID': admin,
  'GET /events/webhooks': admin,
  'POST /events/webhooks': admin,
  'GET /events/webhooks/:webhookID': admin,
  'PATCH /events/webhooks/:webhookID': admin,
  'DELETE /events/webhooks/:webhookID': admin,
  'GET /audit': admin,
  'GET /audit/records': admin,
  'GET /audit/log/*': admin,
  'GET /audit/export': { ...admin, streams: true },

  // Of people.
  'GET /auth/sign-in': keyless,
  'GET /auth/start': keyless,
  'GET /auth/callback': keyless,
  'GET /account': keyless,
  'GET /auth/session': person,
  'DELETE /auth/session': person,
  'POST /auth/sign-out': keyless,
  'GET /auth/signed-out': keyless,
  'POST /auth/backchannel-logout': keyless,
  'GET /personal-tokens': person,
  'POST /personal-tokens': person,
  'DELETE /personal-tokens/:tokenID': person,
  'GET /personal-ssh-keys': person,
  'POST /personal-ssh-keys': person,
  'DELETE /personal-ssh-keys/:sshKeyID': person,
  'POST /auth/device-code': keyless,
  'GET /auth/device': keyless,
  'POST /auth/device': keyless,
  'POST /auth/token': keyless,
  'POST /auth/revoke': keyless,
  'GET /docs/api/cli': keyless,
  'POST /docs/api/cli': keyless,
};

/**
 * What a key opens outside of the API. The gateway asks control about signed URLs, which act for the key that signed
 * them; the tokens of a sandbox are only shown to keys with the scope.
 */
export const gatewayAccess = {
  /** The access token of envd and the traffic token of a sandbox. */
  tokens: { scope: 'run', templates: 'checked' },
  /** A signed URL of a file or a port of a sandbox. */
  sandbox: { scope: 'run', templates: 'checked' },
  /** A signed URL of a function. */
  function: { scope: 'run', templates: 'refused' },
} as const satisfies Record<string, RouteAccess>;
