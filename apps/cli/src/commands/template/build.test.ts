import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../../testing/scripted-api.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-build-'));
});
afterEach(async () => {
  await removeTree(folder);
});

const requested = {
  status: 202,
  body: { templateID: 't1', buildID: 'b1', public: false, names: [], tags: ['v1'], aliases: [] },
};
const started = { status: 202, headers: { 'content-length': '0' } };
const entry = (message: string, level = 'info') => ({ timestamp: '2026-01-01T00:00:00Z', message, level });
const status = (state: string, logEntries: object[], more: object = {}): ScriptedAnswer => ({
  status: 200,
  body: { templateID: 't1', buildID: 'b1', status: state, logs: [], logEntries, ...more },
});

/** Runs `soulbox template build` against an API with these responses. */
async function build(answers: readonly ScriptedAnswer[], ...args: string[]) {
  await using api = await startScriptedApi(answers);
  const result = await runCli(['template', 'build', ...args], api.environment);
  return {
    ...result,
    asked: api.seen.map(({ line }) => line),
    keys: api.seen.map(({ idempotencyKey }) => idempotencyKey),
    walls: api.seen.map(({ isolation }) => isolation),
    bodies: api.seen.map(({ body }) => body),
  };
}

test('a folder with a Dockerfile is built, and its log is shown as it arrives', async () => {
  await writeFile(join(folder, 'Dockerfile'), 'FROM debian:stable\nRUN echo hi\nCMD ["serve"]\n');
  const log = [entry('\u001b[31mhi\u0007', 'warn'), entry('hidden', 'debug')];
  const answers = [requested, started, status('building', log), status('ready', [])];
  const flags = ['--tags', 'v1, v2', '--cpus', '4', '--memory-mb', '512', '--force'];
  const { code, stdout, stderr, asked, bodies } = await build(answers, folder, 'mine', ...flags);
  expect({ code, stdout }).toEqual({ code: 0, stdout: 't1\n' });
  expect(asked).toEqual([
    ...['POST /v3/templates', 'POST /v2/templates/t1/builds/b1'],
    ...['GET /templates/t1/builds/b1/status?logsOffset=0', 'GET /templates/t1/builds/b1/status?logsOffset=2'],
  ]);
  expect(bodies[0]).toEqual({ name: 'mine', tags: ['v1', 'v2'], cpuCount: 4, memoryMB: 512 });
  expect(bodies[1]).toMatchObject({ fromImage: 'debian:stable', startCmd: 'serve', readyCmd: 'sleep 20', force: true });
  expect(stderr).toMatch(/ s {2}hi\n/);
  expect(stderr).not.toContain('hidden');
});

test('a Dockerfile by name, custom commands, and JSON', async () => {
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'sub', 'x.dockerfile'), 'FROM debian:stable\nCMD serve\n');
  const flags = ['--start-command', 'own', '--ready-command', 'test', '--json', '--verbose'];
  const answers = [requested, started, status('ready', [entry('shown', 'debug')]), status('ready', [])];
  const result = await build(answers, join(folder, 'sub', 'x.dockerfile'), 'mine', ...flags);
  expect(JSON.parse(result.stdout)).toEqual({ name: 'mine', tags: ['v1'], templateID: 't1', buildID: 'b1' });
  expect(result.bodies[1]).toMatchObject({ startCmd: 'own', readyCmd: 'test' });
  expect(result.stderr).toContain('shown');
});

test("a build can use another isolation than the server's default", async () => {
  await writeFile(join(folder, 'Dockerfile'), 'FROM debian:stable\n');
  const answers = [requested, started, status('ready', []), status('ready', [])];
  const { code, walls } = await build(answers, folder, 'mine', '--isolation', 'gvisor');
  expect([code, walls[1]]).toEqual([0, 'gvisor']);
  const refused = await build([], folder, 'mine', '--isolation', 'paper');
  expect(refused.stderr).toMatch(/container.*gvisor/);
});

test('an idempotency key is sent with both requests of a build', async () => {
  await writeFile(join(folder, 'Dockerfile'), 'FROM debian:stable\n');
  const answers = [requested, started, status('ready', []), status('ready', [])];
  const { code, keys } = await build(answers, folder, 'mine', '--idempotency-key', 'job 1');
  expect([code, keys[0], keys[1]]).toEqual([0, '"job 1"', '"job 1"']);
  expect((await build([], folder, 'mine', '--idempotency-key', 'é')).stderr).toMatch(/visible ASCII/);
});

describe('a failure is one clear line', () => {
  test('when a step fails', async () => {
    await writeFile(join(folder, 'Dockerfile'), 'FROM debian:stable\nRUN false\n');
    const reason = { reason: { message: 'failed to run command', step: '3', logEntries: [] } };
    const { code, stderr } = await build([requested, started, status('error', [], reason)], folder, 'mine');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: failed to run command \(build_failed\)$/m);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('when the server refuses', async () => {
    await writeFile(join(folder, 'Dockerfile'), 'FROM debian:stable\n');
    const { code, stderr } = await build([{ status: 409, body: { code: 409, message: 'taken' } }], folder, 'mine');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: taken \(http_409\)$/m);
  });

  test.each([
    ['no file', undefined, 'file_not_found', []],
    ['two stages', 'FROM a\nFROM b\n', 'bad_request', []],
    ['no stage', 'RUN x\n', 'bad_request', []],
    ['a start command alone', 'FROM a\n', '--start-command requires --ready-command', ['--start-command', 'x']],
    ['an odd number', 'FROM a\n', '--cpus must be a whole number', ['--cpus', 'x']],
  ])('with %s', async (_what, dockerfile, word, flags) => {
    if (dockerfile !== undefined) await writeFile(join(folder, 'Dockerfile'), dockerfile);
    const { code, stderr, asked } = await build([], folder, 'mine', ...flags);
    expect([code === 1 || code === 2, asked]).toEqual([true, []]);
    expect(stderr).toContain(word);
  });
});
