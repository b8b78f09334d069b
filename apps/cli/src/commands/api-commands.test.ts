import { writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../testing/run-cli.ts';
import { runInProcess } from '../testing/run-in-process.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';

const sandbox = { sandboxID: 'i1', templateID: 'base' };
const listed = {
  ...sandbox,
  alias: 'base',
  state: 'paused',
  isolation: 'gvisor',
  cpuCount: 2,
  memoryMB: 1024,
  startedAt: '2026-01-01T00:00:00Z',
  endAt: '2026-01-01T00:05:00Z',
};
const build = {
  buildID: 'b1',
  status: 'ready',
  tags: ['default', 'v1'],
  cpuCount: 2,
  memoryMB: 512,
  createdAt: 'then',
};
const template = {
  ...{ templateID: 't1', names: ['default/mine'], aliases: ['mine'], public: true, buildStatus: 'ready', cpuCount: 2 },
  ...{ memoryMB: 512, buildCount: 3, spawnCount: 7, tags: ['default', 'v1'] },
};
const secret = {
  ...{ secretID: 'sec_1', name: 'token', currentVersion: 2, metadata: {} },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' },
  hosts: ['a.example', '*.b.example'],
};
const webhook = { id: 'w1', name: 'ci', url: 'https://x', enabled: true, events: ['sandbox.lifecycle.paused'] };

test.each(['E2B_API_URL', 'E2B_DOMAIN'])('%s without a key is an error, and no other server is asked', async (name) => {
  const { code, stderr } = await runCli(['sandbox', 'list'], { [name]: 'http://127.0.0.1:1' });
  expect(code).toBe(1);
  expect(stderr).toContain(`${name} is set, but E2B_API_KEY is not.`);
  expect(stderr).toContain('(config_invalid)');
});

test('a create waits while its template is being made, and shows the progress', async () => {
  const making = {
    status: 503,
    body: { code: 503, message: 'Template "desktop" is being built: apt, 9 s so far. Retry.' },
  };
  await using api = await startScriptedApi([making, making, { status: 201, body: sandbox }]);
  const created = await runCli(['sandbox', 'create', 'desktop'], api.environment);
  expect(created).toMatchObject({ code: 0, stdout: 'i1\n' });
  expect(created.stderr).toBe('Template "desktop" is being built: apt, 9 s so far.\n'.repeat(2));
  expect(api.seen).toHaveLength(3);
});

// The command, the expected request, the response of the API, and the expected output.
test.each([
  ['sandbox create', 'POST /v2/sandboxes', { templateID: 'base' }, 201, sandbox, /^i1\n$/],
  [
    'sandbox create py --timeout 60 --idle-timeout 5 --on-timeout pause --auto-resume --isolation gvisor --log-output',
    'POST /v2/sandboxes',
    {
      templateID: 'py',
      timeout: 60,
      idleTimeout: 5,
      isolation: 'gvisor',
      autoPause: true,
      autoResume: { enabled: true },
      logOutput: true,
    },
    201,
    sandbox,
    /^i1\n$/,
  ],
  [
    'sandbox list --state paused',
    'GET /v2/sandboxes?state=paused',
    undefined,
    200,
    [listed],
    /i1 +base +paused +gvisor +2 +1024 MiB/,
  ],
  [
    'sandbox info i1',
    'GET /sandboxes/i1',
    undefined,
    200,
    { ...listed, envdAccessToken: 'secret' },
    /^state: +paused\nisolation: +gvisor$/m,
  ],
  ['sandbox pause i1', 'POST /sandboxes/i1/pause', { memory: true }, 204, undefined, /^Paused i1\.\n$/],
  ['sandbox pause i1 --disk-only', 'POST /sandboxes/i1/pause', { memory: false }, 204, undefined, /^Paused/],
  ['sandbox resume i1 --timeout 9', 'POST /v2/sandboxes/i1/connect', { timeout: 9 }, 201, sandbox, /^Resumed i1\.\n$/],
  ['sandbox resume i1', 'POST /v2/sandboxes/i1/connect', {}, 200, sandbox, /^i1 was already running\.\n$/],
  [
    'sandbox fork i1 --count 2',
    'POST /sandboxes/i1/fork',
    { count: 2, timeout: 300 },
    201,
    [{ sandbox }, { sandbox }],
    /^i1\ni1\n$/,
  ],
  [
    'sandbox snapshot i1 --name n',
    'POST /sandboxes/i1/snapshots',
    { name: 'n' },
    201,
    { snapshotID: 's:1', names: ['n'] },
    /^s:1\n$/,
  ],
  ['sandbox kill ../i1', 'DELETE /sandboxes/..%2Fi1', undefined, 204, undefined, /^Killed/],
  [
    'snapshot list --sandbox i1',
    'GET /snapshots?sandboxID=i1',
    undefined,
    200,
    [{ snapshotID: 's:1', names: ['n'] }],
    /s:1 +n/,
  ],
  ['snapshot delete s:1', 'DELETE /snapshots/s%3A1', undefined, 204, undefined, /^Deleted s:1\.\n$/],
  ['snapshot fork s:1 --timeout 7', 'POST /snapshots/s%3A1/fork', { timeout: 7 }, 201, [{ sandbox }], /^i1\n$/],
  [
    'template list',
    'GET /templates',
    undefined,
    200,
    [template],
    /default\/mine +t1 +ready +default, v1 +yes +2 +512 MiB +3 +7\n$/,
  ],
  [
    'template show mine',
    'GET /templates/mine',
    undefined,
    200,
    { ...template, builds: [build] },
    /^public: +true[^]*b1 +ready +default, v1 +2 +512 MiB +then\n$/m,
  ],
  ['template delete a/mine', 'DELETE /templates/a%2Fmine', undefined, 204, undefined, /^Deleted a\/mine\.\n$/],
  [
    'template tag mine:v1 stable,latest',
    'POST /templates/tags',
    { target: 'mine:v1', tags: ['stable', 'latest'] },
    201,
    { buildID: 'b1', tags: [] },
    /^stable, latest: assigned\.\n$/,
  ],
  [
    'template tag mine v1 --remove',
    'DELETE /templates/tags',
    { name: 'mine', tags: ['v1'] },
    204,
    undefined,
    /^v1: removed\.\n$/,
  ],
  [
    'template publish mine',
    'PATCH /v2/templates/mine',
    { public: true },
    200,
    { names: ['default/mine'] },
    /^default\/mine: public\.\n$/,
  ],
  [
    'template unpublish mine',
    'PATCH /v2/templates/mine',
    { public: false },
    200,
    { names: ['default/mine'] },
    /^default\/mine: for the team only\.\n$/,
  ],
  ['secret list', 'GET /secrets', undefined, 200, [secret], /sec_1 +token +2 +a\.example,\*\.b\.example +2026/],
  ['secret delete Token', 'DELETE /secrets/Token', undefined, 204, undefined, /^Deleted Token\.\n$/],
  ['webhook list', 'GET /events/webhooks', undefined, 200, [webhook], /w1 +ci +on +https:\/\/x +paused/],
  ['webhook delete w1', 'DELETE /events/webhooks/w1', undefined, 204, undefined, /^Deleted w1\.\n$/],
])('%s', async (line, asked, body, status, answer, shown) => {
  await using api = await startScriptedApi([{ status, ...(answer === undefined ? {} : { body: answer }) }]);
  const { code, stdout, stderr } = await runInProcess(line.split(' '), api.environment);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(api.seen).toEqual([{ line: asked, key: 'e2b_test', body }]);
  expect(stdout).toMatch(shown);
});

test('--json prints the response of the API, without the access token of a sandbox', async () => {
  const answer = { status: 200, body: { ...listed, envdAccessToken: 'secret' } };
  await using api = await startScriptedApi([answer, answer]);
  const { stdout } = await runCli(['sandbox', 'info', 'i1', '--json'], api.environment);
  expect(JSON.parse(stdout)).toEqual(listed);
  expect((await runCli(['sandbox', 'info', 'i1'], api.environment)).stdout).not.toContain('secret');
});

test('a list is read to its last page', async () => {
  const page = (id: string, headers: Record<string, string>) => ({
    status: 200,
    body: [{ ...listed, sandboxID: id }],
    headers,
  });
  await using api = await startScriptedApi([page('i1', { 'x-next-token': 'a=b' }), page('i2', {})]);
  const { stdout } = await runCli(['sandbox', 'list', '--json'], api.environment);
  expect((JSON.parse(stdout) as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID)).toEqual(['i1', 'i2']);
  expect(api.seen[1]?.line).toBe('GET /v2/sandboxes?nextToken=a%3Db');
});

test.each([
  ['sandbox create', sandbox],
  ['sandbox fork i1', [{ sandbox }]],
  ['snapshot fork s:1', [{ sandbox }]],
  ['sandbox snapshot i1', { snapshotID: 's:1', names: [] }],
])('%s sends an idempotency key, and says when the result is an earlier one', async (line, body) => {
  const headers = { 'idempotent-replayed': 'true' };
  await using api = await startScriptedApi([
    { status: 201, body },
    { status: 201, body, headers },
  ]);
  const args = [...line.split(' '), '--idempotency-key', 'a "b"'];
  const first = await runCli(args, api.environment);
  const again = await runCli(args, api.environment);
  expect(api.seen.map(({ idempotencyKey }) => idempotencyKey)).toEqual([String.raw`"a \"b\""`, String.raw`"a \"b\""`]);
  expect([first.code, first.stderr]).toEqual([0, '']);
  expect(again).toEqual({
    ...first,
    stderr: expect.stringMatching(/used before.*nothing new was made\.\n$/) as string,
  });
});

test('a copy that failed is an error beside the ids of the others', async () => {
  const body = [{ sandbox }, { error: { code: 503, message: 'no room' } }];
  await using api = await startScriptedApi([{ status: 201, body }]);
  const { code, stdout, stderr } = await runCli(['sandbox', 'fork', 'i1', '--count', '2'], api.environment);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: 'i1\n',
    stderr: 'error: a fork could not be created: no room (503)\n',
  });
});

const eventOf = (sequence: number): object => ({
  sequence,
  timestamp: '2026-01-01T00:00:00Z',
  sandboxId: 'i1',
  type: 'sandbox.lifecycle.paused',
  eventData: { cause: 'idle' },
});

test('events are read from a number on, page by page, one per line', async () => {
  const full = Array.from({ length: 100 }, (_, index) => eventOf(8 + index));
  await using api = await startScriptedApi([
    { status: 200, body: full },
    { status: 200, body: [eventOf(200)] },
  ]);
  const { code, stdout } = await runCli(['events', 'i1', '--after', '7'], api.environment);
  expect(code).toBe(0);
  expect(stdout.split('\n').slice(-2)).toEqual(['   200  2026-01-01T00:00:00Z  i1  paused        idle', '']);
  expect(stdout.split('\n')).toHaveLength(102);
  expect(api.seen.map(({ line }) => line)).toEqual([
    'GET /events/sandboxes/i1?after=7&limit=100&orderAsc=true',
    'GET /events/sandboxes/i1?after=107&limit=100&orderAsc=true',
  ]);
});

test('--follow continues after the last event until the server is gone; --json prints an object per line', async () => {
  const stream = (...sequences: readonly number[]) => ({
    ...{ status: 200, headers: { 'content-type': 'application/x-ndjson' } },
    body: sequences.map((sequence) => `${JSON.stringify({ event: eventOf(sequence) })}\n`).join(''),
  });
  const gone = { status: 503, body: { code: 503, message: 'stopping' } };
  await using api = await startScriptedApi([stream(1), stream(2), gone, gone]);
  const once = { ...api.environment, SOULBOX_RETRY_ATTEMPTS: '2' };
  const { code, stdout, stderr } = await runCli(['events', '--follow', '--json'], once);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((text) => (JSON.parse(text) as { sequence: number }).sequence),
  ).toEqual([1, 2]);
  expect(api.seen.map(({ line }) => line.split('?')[1])).toEqual(['after=0', 'after=1', 'after=2']);
  expect({ code, error: JSON.parse(stderr) as object }).toEqual({
    code: 1,
    error: { error: { reason: 'http_503', message: 'stopping' } },
  });
}, 20_000);

test('a webhook gets its own secret, shown once, or one from a file, not shown', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cli-webhook-'));
  try {
    await writeFile(join(directory, 'secret'), 'hunter2\n');
    await using api = await startScriptedApi([
      { status: 201, body: webhook },
      { status: 201, body: webhook },
    ]);
    const made = await runCli(['webhook', 'create', 'https://x', '--events', 'paused,resumed'], api.environment);
    const [, secret] = /^w1\n([0-9a-f]{64})\n$/.exec(made.stdout) ?? [];
    expect(api.seen[0]?.body).toEqual({
      name: 'https://x',
      url: 'https://x',
      enabled: true,
      events: ['sandbox.lifecycle.paused', 'sandbox.lifecycle.resumed'],
      signatureSecret: secret,
    });
    const given = await runCli(
      ['webhook', 'create', 'https://x', '--secret-file', join(directory, 'secret')],
      api.environment,
    );
    expect(given.stdout).toBe('w1\n');
    expect(api.seen[1]?.body).toMatchObject({ signatureSecret: 'hunter2' });
  } finally {
    await removeTree(directory);
  }
});

test.each([
  [
    { status: 404, body: { code: 404, message: 'Sandbox "x" was not found.' } },
    'error: Sandbox "x" was not found. (http_404)\n',
  ],
  [
    {
      status: 404,
      body: { code: 404, message: 'Sandbox "x" was not found.' },
      headers: { 'x-soulbox-reason': 'sandbox_not_found', 'x-request-id': 'abcd1234' },
    },
    /^error: Sandbox "x" was not found\. \(sandbox_not_found\)\nhint: "soulbox sandbox list" shows what there is at http:\/\/127\.0\.0\.1:\d+ \(E2B_API_URL\)\.\n$/,
  ],
  [
    { status: 401, body: { code: 401, message: 'The API key is not valid.' } },
    /^error: The API key is not valid\. \(http_401\)\nhint: The key comes from E2B_API_URL\. Set E2B_API_URL and E2B_API_KEY, .*\n$/,
  ],
  [
    { status: 403, body: { code: 403, message: 'No.' }, headers: { 'x-soulbox-reason': 'scope_missing' } },
    /^error: No\. \(scope_missing\)\nhint: The key comes from E2B_API_URL, and "soulbox key list" shows .*\n$/,
  ],
  [
    {
      status: 500,
      body: { code: 500, message: 'An internal error occurred. The server log has the details.' },
      headers: { 'x-soulbox-reason': 'internal', 'x-request-id': 'abcd1234' },
    },
    'error: An internal error occurred. The server log has the details. (internal, request abcd1234)\n',
  ],
  [{ status: 502, body: '<html>' }, 'error: The server returned status 502 without an error message. (http_502)\n'],
  [
    { status: 500, body: { code: 500 } },
    'error: The server returned status 500 without an error message. (http_500)\n',
  ],
])(
  'the error %j is one clear line, and one with what to do next where the message does not say it',
  async (answer, shown) => {
    await using api = await startScriptedApi([answer]);
    const result = await runInProcess(['sandbox', 'pause', 'x'], api.environment);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    if (typeof shown === 'string') expect(result.stderr).toBe(shown);
    else expect(result.stderr).toMatch(shown);
  },
);

test('a missing server says where its address comes from; an invalid URL is one clear line', async () => {
  const api = await startScriptedApi([]);
  await api[Symbol.asyncDispose]();
  const once = { ...api.environment, SOULBOX_RETRY_ATTEMPTS: '1' };
  const gone = await runCli(['sandbox', 'list'], once);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toMatch(
    /^error: http:\/\/127\.0\.0\.1:\d+ does not respond: .*ECONNREFUSED.*\nhint: The address comes from E2B_API_URL\. .*"soulbox status".*"soulbox up --detach".*\n$/,
  );
  const json = JSON.parse((await runCli(['sandbox', 'list', '--json'], once)).stderr) as object;
  expect(json).toMatchObject({
    error: { reason: 'host_not_ready', hint: expect.stringContaining('E2B_API_URL') as string },
  });
  const none = await runCli(['sandbox', 'list'], { ...api.environment, E2B_API_URL: 'not a url' });
  expect(none).toMatchObject({
    code: 1,
    stderr: 'error: E2B_API_URL does not result in a valid URL: not a url (config_invalid)\n',
  });
});

test('--data-dir takes precedence over the variables', async () => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['sandbox', 'list', '--data-dir', '/proc/nowhere/at/all'], api.environment);
  expect(code).toBe(1);
  expect(stderr).toContain('No server is running for /proc/nowhere/at/all');
  expect(api.seen).toEqual([]);
});
