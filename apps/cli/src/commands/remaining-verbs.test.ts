import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { teamLimitNames } from '@soulbox/contract';
import { runInProcess } from '../testing/run-in-process.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../testing/scripted-api.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-verbs-'));
  await writeFile(join(folder, 'secret'), 'hunter22\n');
});
afterAll(async () => await removeTree(folder));

const time = '2026-01-01T00:00:00.000Z';
const deployed = { name: 'f', kind: 'workers', activeVersion: 2, secrets: ['TOKEN'], environment: { A: 'b' } };
const webhook = { id: 'w1', name: 'ci', url: 'https://x', enabled: false, events: ['sandbox.lifecycle.paused'] };
const key = {
  ...{ id: 'k1', name: 'ci', createdAt: time, lastUsed: null, isolation: null, role: null, expiresAt: null },
  mask: { prefix: 'e2b_', valueLength: 40, maskedValuePrefix: 'ab', maskedValueSuffix: 'wxyz' },
  ...{ scopes: ['read'], templates: ['base'] },
};
const shownKey = {
  ...{ id: 'k1', name: 'ci', key: 'e2b_ab...wxyz', isolation: null, role: null, scopes: ['read'], templates: ['base'] },
  ...{ createdAt: time, expiresAt: null, lastUsedAt: null },
};
const token = { id: 't1', name: 'laptop', suffix: 'abcd', createdAt: time, expiresAt: time, lastUsed: null };
const budget = { kind: 'cpu_seconds', period: 'day', amount: 60 };
const team = { teamID: 'team1', name: 'blue', apiKey: 'e2b_test', isDefault: false };
const other = { teamID: 'team0', name: 'red', apiKey: 'e2b_other', isDefault: true };
const template = { templateID: 't9', builds: [{ buildID: 'b2' }, { buildID: 'b1' }] };
const entry = { timestamp: time, level: 'info', message: 'RUN apt\x1b[2J', step: '1' };
const buildOf = (status: string, logEntries: object[] = []): ScriptedAnswer => ({
  status: 200,
  body: { templateID: 't9', buildID: 'b2', status, logs: [], logEntries },
});
const ok = (body: object): ScriptedAnswer => ({ status: 200, body });
const done: ScriptedAnswer = { status: 204 };

// The command, the responses of the API, the expected requests, and the expected output.
test.each<[string, ScriptedAnswer[], [string, object?][], RegExp]>([
  ['function info f', [ok(deployed)], [['GET /functions/f']], /^secrets: +\["TOKEN"\]$/m],
  [
    'function versions f',
    [ok([{ version: 2, digest: 'd', sizeBytes: 1200, active: true, createdAt: time }])],
    [['GET /functions/f/versions']],
    /^2 +yes +1\.2 KB +2026/m,
  ],
  [
    'function set-secrets f TOKEN',
    [ok(deployed)],
    [['PUT /functions/f/secrets', { secrets: { TOKEN: 'hush' } }]],
    /^f has the secrets TOKEN\.\n$/,
  ],
  ['function delete-secret f A/B', [done], [['DELETE /functions/f/secrets/A%2FB']], /^Deleted A\/B of f\.\n$/],
  ['kv list', [ok([{ name: 'store', keyCount: 3, sizeBytes: 9, createdAt: time }])], [['GET /kv']], /store +3 +9 B/],
  ['kv delete store', [done], [['DELETE /kv/store']], /^Deleted store\.\n$/],
  ['key list-signing', [ok([{ id: 's1', createdAt: time, endsAt: null }])], [['GET /signing-keys']], /s1 .* never/],
  ['key end-signing s1', [done], [['DELETE /signing-keys/s1']], /^Ended s1\.\n$/],
  ['webhook show w1', [ok(webhook)], [['GET /events/webhooks/w1']], /^enabled: +false$/m],
  [
    'webhook update w1 --off --events paused --secret-file SECRET',
    [ok(webhook)],
    [
      [
        'PATCH /events/webhooks/w1',
        { enabled: false, events: ['sandbox.lifecycle.paused'], signatureSecret: 'hunter22' },
      ],
    ],
    /^name: +ci$/m,
  ],
  ['secret show token', [ok({ secretID: 'sec_1', hosts: [] })], [['GET /secrets/token']], /^secretID: +sec_1$/m],
  ['token list', [ok([token])], [['GET /personal-tokens']], /t1 +laptop +abcd/],
  ['token revoke t1', [done], [['DELETE /personal-tokens/t1']], /^Revoked t1\.\n$/],
  [
    'template status mine',
    [ok(template), buildOf('ready')],
    [['GET /templates/mine'], ['GET /templates/t9/builds/b2/status?limit=1']],
    /^status: +ready$/m,
  ],
  [
    'template logs mine b1',
    [ok(template), buildOf('building', [entry]), buildOf('building')],
    [
      ['GET /templates/mine'],
      ['GET /templates/t9/builds/b1/status?logsOffset=0'],
      ['GET /templates/t9/builds/b1/status?logsOffset=1'],
    ],
    /Z {2}info {3}\[1\] RUN apt·\[2J\n$/,
  ],
  ['team list', [ok([team])], [['GET /teams']], /^team1 +blue\n$/m],
  ['team limits --json', [ok([other, team]), ok({})], [['GET /teams'], ['GET /teams/team1/limits']], /^/],
  [
    'key list --json',
    [ok([key])],
    [['GET /api-keys']],
    new RegExp(`^${JSON.stringify([shownKey]).replaceAll(/[[\].{}]/g, '\\$&')}\n$`),
  ],
  [
    'key create ci --role viewer --scope run --template Base --expires 2099-01-31',
    [{ status: 201, body: { ...key, key: 'e2b_secret' } }],
    [
      [
        'POST /api-keys',
        {
          ...{ name: 'ci', role: 'viewer', scopes: ['read', 'run'], templates: ['base'] },
          expiresAt: '2099-01-31T00:00:00.000Z',
        },
      ],
    ],
    /^e2b_secret\n$/,
  ],
  [
    'key create ci',
    [{ status: 201, body: { ...key, key: 'e2b_s' } }],
    [['POST /api-keys', { name: 'ci' }]],
    /^e2b_s\n$/,
  ],
  [
    'key rename ci cd',
    [ok([key]), { status: 200 }],
    [['GET /api-keys'], ['PATCH /api-keys/k1', { name: 'cd' }]],
    /^k1 is named cd\.\n$/,
  ],
  ['key revoke ci', [ok([key]), done], [['GET /api-keys'], ['DELETE /api-keys/k1']], /^Revoked ci \(k1\)\.\n$/],
  [
    'key budget k1 --set sandboxes/total=9',
    [ok({ budgets: [{ ...budget, used: 1 }] }), ok({}), ok({ budgets: [{ ...budget, used: 1 }] })],
    [
      ['GET /api-keys/k1/budgets'],
      ['PUT /api-keys/k1/budgets', { budgets: [budget, { kind: 'sandboxes', period: 'total', amount: 9 }] }],
      ['GET /api-keys/k1/budgets'],
    ],
    /^cpu_seconds +day +60$/m,
  ],
])('%s', async (line, answers, asked, shown) => {
  await using api = await startScriptedApi(answers);
  const args = line.split(' ').map((word) => (word === 'SECRET' ? join(folder, 'secret') : word));
  const result = await runInProcess(args, { ...api.environment, TOKEN: 'hush' });
  if (line === 'team limits --json') {
    // The table of the answer is that of a whole server.
    expect(api.seen.map((call) => call.line)).toEqual(asked.map(([one]) => one));
    return;
  }
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(api.seen.map(({ line: one, body }) => [one, ...(body === undefined ? [] : [body])])).toEqual(asked);
  expect(result.stdout).toMatch(shown);
});

test('a limit of a team is changed through the API by the id of the team', async () => {
  const limits = Object.fromEntries(
    teamLimitNames.map((name) => [name, { value: name === 'sandboxes' ? 9 : null, isDefault: name !== 'sandboxes' }]),
  );
  await using api = await startScriptedApi([ok(limits)]);
  const flags = ['--set', 'sandboxes=9', '--set', 'disk_mb=default', '--set', 'snapshots=none'];
  const { stdout } = await runInProcess(['team', 'limits', 'team1', ...flags], api.environment);
  expect(api.seen[0]).toMatchObject({
    line: 'PATCH /teams/team1/limits',
    body: { sandboxes: 9, disk_mb: 'default', snapshots: null },
  });
  expect(stdout).toMatch(/^sandboxes +9 /m);
  expect(stdout).toMatch(/^snapshots +default \(none\)/m);
});

test('the log of a build is followed to its end, and a failed build is a failure', async () => {
  await using api = await startScriptedApi([
    ok(template),
    buildOf('building'),
    buildOf('error', [entry]),
    buildOf('error'),
  ]);
  const { code, stdout } = await runInProcess(['template', 'logs', 'mine', '-f', '--json'], api.environment);
  expect([code, JSON.parse(stdout)]).toEqual([1, entry]);
});

test.each([
  [['webhook', 'update', 'w1'], /Nothing to change/],
  [['webhook', 'update', 'w1', '--on', '--off'], /--on cannot be used with --off/],
  [['function', 'set-secrets', 'f', 'NOT_SET_ANYWHERE'], /this shell does not have a variable/],
  [['function', 'set-secrets', 'f', 'A,,B'], /an empty name/],
  [
    ['key', 'list', '--team', 'blue'],
    /--team selects a team in the records of this host, but E2B_API_URL names the server/,
  ],
  [['key', 'rename', 'k1', 'a\nb'], /NAME must have/],
  [['template', 'logs', 'mine', '--level', 'loud'], /--level must be/],
])('%j is refused before anything is sent', async (args, message) => {
  const environment = { E2B_API_URL: 'http://127.0.0.1:1', E2B_API_KEY: 'e2b_test' };
  const result = await runInProcess(args, environment);
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr).toMatch(message);
});

test('keys of the records are used with --data-dir, although the variables name a server', async () => {
  await using api = await startScriptedApi([]);
  const local = ['--data-dir', join(folder, 'data')];
  expect((await runInProcess(['key', 'create', 'one', ...local], api.environment)).code).toBe(0);
  expect((await runInProcess(['key', 'rename', 'one', 'two', ...local], api.environment)).code).toBe(0);
  const { stdout } = await runInProcess(['key', 'list', '--json', ...local], api.environment);
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'two' }]);
  expect(api.seen).toEqual([]);
});
