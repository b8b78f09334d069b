import { expect, test } from 'vitest';
import { routeAccess } from '../apps/api/src/auth/route-access.ts';
import { program } from '../apps/cli/src/program/program.ts';

/** The command that calls a route. */
const commands: Readonly<Record<string, string>> = {
  'POST /host/backup-stage': 'backup create',
  'GET /host/storage': 'storage status',

  'POST /v2/sandboxes': 'sandbox create',
  'GET /v2/sandboxes': 'sandbox list',
  'GET /sandboxes/metrics': 'sandbox top',
  'GET /sandboxes/:sandboxID': 'sandbox info',
  'GET /sandboxes/:sandboxID/metrics/history': 'sandbox metrics',
  'GET /sandboxes/:sandboxID/metrics/custom': 'sandbox metrics',
  'GET /v2/sandboxes/:sandboxID/logs': 'sandbox logs',
  'GET /sandboxes/:sandboxID/connections': 'sandbox connections',
  'GET /sandboxes/:sandboxID/network/learned': 'sandbox learned',
  'DELETE /sandboxes/:sandboxID': 'sandbox kill',
  'POST /sandboxes/:sandboxID/pause': 'sandbox pause',
  'POST /v2/sandboxes/:sandboxID/connect': 'sandbox resume',
  'POST /sandboxes/:sandboxID/timeout': 'sandbox timeout',
  'POST /sandboxes/:sandboxID/run': 'run',
  'PUT /sandboxes/:sandboxID/network': 'sandbox network',
  'POST /sandboxes/:sandboxID/fork': 'sandbox fork',
  'POST /sandboxes/:sandboxID/snapshots': 'sandbox snapshot',
  'GET /sandboxes/:sandboxID/export': 'sandbox export',
  'POST /snapshots/:snapshotID/fork': 'snapshot fork',
  'DELETE /snapshots/:snapshotID': 'snapshot delete',
  'GET /snapshots': 'snapshot list',
  'GET /snapshots/:snapshotID/export': 'snapshot export',
  'POST /imports': 'import',

  'GET /templates': 'template list',
  'GET /templates/:templateID': 'template show',
  'GET /templates/:templateID/builds/:buildID/status': 'template logs',
  'GET /templates/:templateID/files/:hash': 'template build',
  'PUT /templates/:templateID/files/:hash': 'template build',
  'POST /v3/templates': 'template build',
  'POST /v2/templates/:templateID/builds/:buildID': 'template build',
  'PATCH /v2/templates/:templateID': 'template publish',
  'DELETE /templates/:templateID': 'template delete',
  'POST /templates/tags': 'template tag',
  'DELETE /templates/tags': 'template tag',

  'GET /functions': 'function list',
  'GET /functions/:name': 'function info',
  'GET /functions/:name/versions': 'function versions',
  'GET /functions/:name/logs': 'function logs',
  'POST /functions': 'function deploy',
  'POST /functions/:name/versions': 'function deploy',
  'POST /functions/:name/rollback': 'function rollback',
  'PUT /functions/:name/secrets': 'function set-secrets',
  'DELETE /functions/:name/secrets/:secret': 'function delete-secret',
  'DELETE /functions/:name': 'function delete',
  'POST /functions/:name/invoke': 'function invoke',
  'GET /kv': 'kv list',
  'DELETE /kv/:name': 'kv delete',

  'GET /events/sandboxes': 'events',
  'GET /events/sandboxes/:sandboxID': 'events',
  'GET /teams': 'team list',
  'GET /teams/:teamID/usage': 'team usage',
  'GET /teams/:teamID/metrics': 'team metrics',
  'GET /teams/:teamID/limits': 'team limits',
  'PATCH /teams/:teamID/limits': 'team limits',

  'POST /signed-urls': 'sign',
  'GET /signing-keys': 'key list-signing',
  'POST /signing-keys': 'key rotate-signing',
  'DELETE /signing-keys/:signingKeyID': 'key end-signing',
  'GET /api-keys': 'key list',
  'POST /api-keys': 'key create',
  'PATCH /api-keys/:apiKeyID': 'key rename',
  'DELETE /api-keys/:apiKeyID': 'key revoke',
  'GET /api-keys/:apiKeyID/budgets': 'key budget',
  'PUT /api-keys/:apiKeyID/budgets': 'key budget',
  'GET /ssh': 'ssh-config',
  'GET /ssh-keys': 'key list-ssh',
  'POST /ssh-keys': 'key add-ssh',
  'DELETE /ssh-keys/:sshKeyID': 'key remove-ssh',
  'GET /volumes': 'volume list',
  'POST /volumes': 'volume create',
  'DELETE /volumes/:volumeID': 'volume delete',
  'GET /volumes/:volumeID/usage': 'volume usage',
  'GET /volumecontent/:volumeID/dir': 'volume ls',
  'GET /volumecontent/:volumeID/path': 'volume cp',
  'GET /volumecontent/:volumeID/file': 'volume cat',
  'PUT /volumecontent/:volumeID/file': 'volume cp',
  'DELETE /volumecontent/:volumeID/path': 'volume rm',
  'POST /volumecontent/:volumeID/rename': 'volume mv',
  'GET /buckets': 'bucket list',
  'POST /buckets': 'bucket create',
  'GET /buckets/:bucketID': 'bucket get',
  'PATCH /buckets/:bucketID': 'bucket update',
  'DELETE /buckets/:bucketID': 'bucket delete',
  'POST /buckets/:bucketID/check': 'bucket check',
  'GET /secrets': 'secret list',
  'POST /secrets': 'secret create',
  'GET /secrets/:secretID': 'secret show',
  'POST /secrets/:secretID': 'secret update',
  'PATCH /secrets/:secretID': 'secret set',
  'DELETE /secrets/:secretID': 'secret delete',
  'GET /events/webhooks': 'webhook list',
  'POST /events/webhooks': 'webhook create',
  'GET /events/webhooks/:webhookID': 'webhook show',
  'PATCH /events/webhooks/:webhookID': 'webhook update',
  'DELETE /events/webhooks/:webhookID': 'webhook delete',
  'GET /audit': 'audit status',
  'GET /audit/records': 'audit list',
  'GET /audit/log/*': 'audit verify',

  'GET /auth/session': 'auth status',
  'DELETE /auth/session': 'auth logout',
  'GET /personal-tokens': 'token list',
  'DELETE /personal-tokens/:tokenID': 'token revoke',
  'GET /personal-ssh-keys': 'key list-ssh',
  'POST /personal-ssh-keys': 'key add-ssh',
  'DELETE /personal-ssh-keys/:sshKeyID': 'key remove-ssh',
  'POST /auth/device-code': 'auth login',
  'POST /auth/token': 'auth login',
};

const older = 'an older form of a route that the CLI uses';
const later = 'returns 501: not available in this version';
const page = 'a page for a browser';
const provider = 'called by the identity provider or by a verifier of tokens';

/** Why the CLI does not call a route. */
const exceptions: Readonly<Record<string, string>> = {
  'GET /health': 'for probes; `status` reports the same of a local server',
  'GET /openapi.json': 'the description of the API itself',
  'GET /': page,
  'GET /docs/:name': page,
  'GET /.well-known/jwks.json': provider,
  'GET /.well-known/openid-configuration': provider,
  'POST /dashboard/inspect/sandbox/:sandboxID': page,
  'POST /dashboard/sign-out': page,
  'GET /dashboard/inspect/sandbox/:sandboxID': page,

  'POST /sandboxes': older,
  'GET /sandboxes': older,
  'GET /sandboxes/:sandboxID/metrics': older,
  'GET /sandboxes/:sandboxID/logs': older,
  'POST /sandboxes/:sandboxID/resume': older,
  'POST /sandboxes/:sandboxID/connect': older,
  'POST /sandboxes/:sandboxID/refreshes': 'an older form of `sandbox timeout`, which can only extend',

  'GET /v2/templates': '`template list` uses the complete list',
  'GET /templates/aliases/:alias': '`template show` takes names, too',
  'GET /templates/:templateID/tags': '`template show` prints the tags of each build',
  'GET /templates/:templateID/builds/:buildID/logs': '`template logs` reads the log with the state of the build',
  'POST /templates': later,
  'POST /v2/templates': older,
  'POST /templates/:templateID': later,
  'PATCH /templates/:templateID': older,
  'POST /templates/:templateID/builds/:buildID': later,

  'GET /volumes/:volumeID': 'commands have the API key, and need no token of a volume',
  'POST /volumecontent/:volumeID/dir': "for E2B's `Volume`; programs make folders",
  'PATCH /volumecontent/:volumeID/path': "for E2B's `Volume`; programs set owners and permissions",

  'GET /teams/:teamID/metrics/max': later,
  'GET /metrics': 'in the format of Prometheus, for its scraper',
  'GET /audit/export': '`audit export` checks the log, which it downloads part by part',

  'GET /auth/sign-in': page,
  'GET /auth/start': page,
  'GET /auth/callback': page,
  'GET /account': page,
  'POST /auth/sign-out': page,
  'GET /auth/signed-out': page,
  'POST /auth/backchannel-logout': provider,
  'POST /personal-tokens': 'only a browser may create a token; `auth login` obtains one by the device flow',
  'GET /auth/device': page,
  'POST /auth/device': page,
  'POST /auth/revoke': 'for other OAuth clients; `auth logout` ends the session',
  'GET /docs/api/cli': page,
  'POST /docs/api/cli': page,
};

test('each route of the API has a command or a reason why it has none', () => {
  expect(Object.keys({ ...commands, ...exceptions }).toSorted()).toEqual(Object.keys(routeAccess).toSorted());
  expect(Object.keys(commands).filter((route) => route in exceptions)).toEqual([]);
  expect(Object.values(commands).filter((command) => !isCommand(program, command.split(' ')))).toEqual([]);
});

/** Loads no command: a group is in the table itself, a command is a function that imports it. */
function isCommand(group: typeof program, [name = '', ...rest]: readonly string[]): boolean {
  const children = (group.subCommands ?? {}) as Readonly<Record<string, typeof program | (() => unknown)>>;
  const found = Object.hasOwn(children, name) ? children[name] : undefined;
  if (typeof found === 'function') return rest.length === 0;
  return found !== undefined && isCommand(found, rest);
}
