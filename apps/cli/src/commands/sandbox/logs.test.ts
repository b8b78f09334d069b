import { expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../../testing/scripted-api.ts';

const entryAt = (ms: number, message: string, level = 'info'): object => ({
  ...{ timestamp: new Date(ms).toISOString(), level, message, fields: { cmd: 'a\x1b[31m' } },
});
const page = (...logs: readonly object[]): ScriptedAnswer => ({ status: 200, body: { logs } });
const gone: ScriptedAnswer = { status: 404, body: { code: 404, message: 'gone' } };

const stream = (...lines: readonly object[]): ScriptedAnswer => ({
  ...{ status: 200, headers: { 'content-type': 'application/x-ndjson' } },
  body: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
});
const line = (number: number, log: object): object => ({ log, cursor: `b-${number}-1` });

test('a followed log goes on after a lost connection with what it has not printed, until the sandbox ends', async () => {
  await using api = await startScriptedApi([
    stream(line(1, entryAt(1, 'one')), line(2, entryAt(2, 'two'))),
    stream(line(3, entryAt(2, 'three', 'error'))),
    stream(line(4, entryAt(3, 'four')), { ended: true }),
  ]);
  const options = ['-f', '--level', 'info', '--tail', '5'];
  const { code, stdout, stderr } = await runCli(['sandbox', 'logs', 'i1', ...options], api.environment);
  expect([code, stderr]).toEqual([0, 'The sandbox i1 has ended.\n']);
  expect(stdout).not.toContain('\x1b');
  const messages = stdout
    .trimEnd()
    .split('\n')
    .map((printed) => printed.split(/ {2,}/).slice(1));
  expect(messages).toEqual([
    ['info', 'one', String.raw`cmd="a\u001b[31m"`],
    ['info', 'two', String.raw`cmd="a\u001b[31m"`],
    ['error', 'three', String.raw`cmd="a\u001b[31m"`],
    ['info', 'four', String.raw`cmd="a\u001b[31m"`],
  ]);
  expect(api.seen.map((request) => request.line)).toEqual([
    'GET /v2/sandboxes/i1/logs?level=info&limit=5',
    ...['b-2-1', 'b-3-1'].map((after) => `GET /v2/sandboxes/i1/logs?level=info&after=${after}`),
  ]);
});

test('--tail prints the newest entries, oldest first', async () => {
  await using api = await startScriptedApi([page(entryAt(9, 'b'), entryAt(8, 'a'))]);
  const { stdout } = await runCli(['sandbox', 'logs', 'i1', '--tail', '2', '--json'], api.environment);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: string }).message),
  ).toEqual(['a', 'b']);
  expect(api.seen[0]?.line).toBe('GET /v2/sandboxes/i1/logs?limit=2&direction=backward');
});

test('a sandbox that does not exist is an error at the first look', async () => {
  await using api = await startScriptedApi([gone]);
  expect(await runCli(['sandbox', 'logs', 'i1', '-f'], api.environment)).toMatchObject({ code: 1, stdout: '' });
});
