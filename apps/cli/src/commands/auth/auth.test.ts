import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

let home: string;
let cli: (args: string[], more?: Record<string, string>) => Promise<CliResult>;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cli-auth-'));
  cli = async (args, more = {}) => await runCli(args, { HOME: home, ...more });
});
afterEach(async () => await removeTree(home));

const device = {
  ...{ device_code: 'd', user_code: 'BCDF-GHJK', verification_uri: 'http://here/auth/device' },
  ...{ verification_uri_complete: 'http://here/auth/device?user_code=BCDF-GHJK', expires_in: 60, interval: 0.1 },
};
const blue = { teamID: 'team-blue', name: 'blue', role: 'developer', scopes: ['create', 'run', 'read'] };
const red = { teamID: 'team-red', name: 'red', role: 'viewer', scopes: ['read'] };
const person = {
  ...{ user: { id: 'u1', email: 'ada@example.com', name: 'Ada' }, via: 'token', csrfToken: null },
  ...{ expiresAt: '2026-12-31T00:00:00.000Z', teams: [blue, red] },
};
const token = `sbp_${'0'.repeat(40)}`;
const granted = { access_token: token, token_type: 'Bearer', expires_in: 60 };
const urlOf = (api: { environment: Readonly<Record<string, string>> }): string => api.environment['E2B_API_URL'] ?? '';

test('a person signs in with a code, commands act for their team, and the token is revoked at the end', async () => {
  await using api = await startScriptedApi([
    ...[
      { status: 200, body: device },
      { status: 400, body: { error: 'authorization_pending' } },
    ],
    ...[
      { status: 200, body: granted },
      { status: 200, body: person },
    ],
    ...[{ status: 200, body: [] }, { status: 200, body: person }, { status: 204 }],
  ]);
  const login = await cli(['auth', 'login', urlOf(api), '--team', 'red']);
  expect(login.code).toBe(0);
  expect(login.stderr).toContain('type the code BCDF-GHJK');
  expect(login.stdout).toBe('Signed in as ada@example.com, viewer in the team red, until 2026-12-31T00:00:00.000Z.\n');
  const file = join(home, '.config/soulbox/credentials.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await cli(['secret', 'list'])).code).toBe(0);
  expect(api.seen[4]).toMatchObject({ line: 'GET /secrets', key: `${token}_team-red` });
  expect((await cli(['auth', 'status'])).stdout).toContain('* red (team-red): viewer');
  expect((await cli(['auth', 'logout'])).stdout).toContain('Signed out ada@example.com');
  expect(api.seen[6]).toMatchObject({ line: 'DELETE /auth/session', key: token });
  expect(await readdir(join(home, '.config/soulbox'))).toEqual([]);
  expect((await cli(['auth', 'logout'])).stdout).toBe('Not signed in.\n');
  expect(await cli(['auth', 'status'])).toMatchObject({ code: 1 });
});

test('the variables of E2B and a data folder come before the person who is signed in', async () => {
  await using api = await startScriptedApi([{ status: 200, body: [] }]);
  await using other = await startScriptedApi([
    ...[
      { status: 200, body: device },
      { status: 200, body: granted },
      { status: 200, body: person },
    ],
  ]);
  expect((await cli(['auth', 'login', urlOf(other)])).code).toBe(0);
  expect((await cli(['secret', 'list'], { ...api.environment })).code).toBe(0);
  expect(api.seen[0]).toMatchObject({ key: 'e2b_test' });
  expect((await cli(['secret', 'list', '--data-dir', home])).stderr).toContain('No server is running');
});

test.each([
  [
    'a refusal',
    [
      { status: 200, body: device },
      { status: 400, body: { error: 'access_denied' } },
    ],
    'was refused',
  ],
  [
    'nobody',
    [
      { status: 200, body: device },
      { status: 400, body: { error: 'expired_token' } },
    ],
    'Nobody allowed',
  ],
  ['a server without a provider', [{ status: 404, body: { message: 'x' } }], 'has no identity provider'],
  ['a server that speaks something else', [{ status: 200, body: '<html>' }], 'does not respond as a SoulBox'],
  [
    'a person without a team',
    [
      ...[
        { status: 200, body: device },
        { status: 200, body: granted },
      ],
      { status: 200, body: { ...person, teams: [] } },
    ],
    'is not a member of a team yet',
  ],
])('%s leaves nobody signed in', async (_what, answers, told) => {
  await using api = await startScriptedApi(answers);
  const login = await cli(['auth', 'login', urlOf(api)]);
  expect([login.code, login.stderr.includes(told)]).toEqual([1, true]);
  expect(await readdir(home)).toEqual([]);
});

test('a token goes nowhere in plain text, and the server must be named', async () => {
  for (const url of ['http://198.51.100.1', 'ftp://x', 'nonsense', 'http://localhost.evil.example'])
    expect((await cli(['auth', 'login', url])).code, url).toBe(2);
  expect((await cli(['auth', 'login'])).code).toBe(2);
});

test('a damaged file of credentials is an error that says what to do', async () => {
  await using api = await startScriptedApi([
    ...[
      { status: 200, body: device },
      { status: 200, body: granted },
      { status: 200, body: person },
    ],
  ]);
  await cli(['auth', 'login', urlOf(api)]);
  const file = join(home, '.config/soulbox/credentials.json');
  const text = await readFile(file, 'utf8');
  for (const broken of [text.slice(0, 20), '{}', 'null']) {
    await writeFile(file, broken);
    expect((await cli(['secret', 'list'])).stderr, broken).toContain('soulbox auth login');
  }
});
