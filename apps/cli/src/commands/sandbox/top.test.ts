import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../../testing/scripted-api.ts';

const metric = (cpuUsedPct: number): object => ({
  ...{ timestamp: 'then', timestampUnix: 1, cpuCount: 2, cpuUsedPct, memUsed: 5e6, memTotal: 1e9, memCache: 0 },
  ...{ diskUsed: 7e6, diskTotal: 1e10 },
});
const second = { diskReadBytes: 1, diskWrittenBytes: 2000, networkReceivedBytes: 3, networkSentBytes: 4e6 };
const answers: readonly ScriptedAnswer[] = [
  {
    status: 200,
    body: ['i1', 'i2', 'i3'].map((sandboxID) => ({ sandboxID, alias: 'base', templateID: 't', state: 'running' })),
  },
  { status: 200, body: { sandboxes: { i1: metric(1.5), i2: metric(150) } } },
  { status: 200, body: { step: 1, points: [second, second] } },
  { status: 404, body: { code: 404, message: 'gone' } },
];

test('the busiest sandboxes come first, with what they read, write, receive and send in a second', async () => {
  await using api = await startScriptedApi(answers);
  const { code, stdout } = await runCli(['sandbox', 'top'], api.environment);
  expect(code).toBe(0);
  const rows = stdout.trimEnd().split('\n');
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ['ID', 'TEMPLATE', 'CPU %', 'MEMORY', 'DISK', 'READ', 'WRITTEN', 'RECEIVED', 'SENT'],
    ['i2', 'base', '150.0 / 200', '5.0 MB / 1.0 GB', '7.0 MB / 10.0 GB', '1 B/s', '2.0 KB/s', '3 B/s', '4.0 MB/s'],
    ['i1', 'base', '1.5 / 200', '5.0 MB / 1.0 GB', '7.0 MB / 10.0 GB', '-', '-', '-', '-'],
  ]);
  expect(api.seen[1]?.line).toBe('GET /sandboxes/metrics?sandbox_ids=i1%2Ci2%2Ci3');
});

test('--limit says how many are printed, and --json prints numbers', async () => {
  await using api = await startScriptedApi(answers);
  const { stdout } = await runCli(['sandbox', 'top', '--json', '--limit', '1'], api.environment);
  expect(JSON.parse(stdout)).toMatchObject([
    { sandboxID: 'i2', cpuUsedPct: 150, perSecond: { networkSentBytes: 4e6 } },
  ]);
});

test('at a terminal it is drawn again, no wider than the window, until Ctrl-C, which restores the screen', async () => {
  await using api = await startScriptedApi([...answers.slice(0, 3), ...answers]);
  const main = new URL('../../main.ts', import.meta.url).pathname;
  const line = `stty cols 40 rows 4; exec '${process.execPath}' '${main}' sandbox top --interval 1`;
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh', ...api.environment },
  });
  let text = '';
  const drawn = Promise.withResolvers<undefined>();
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    if (text.split('running, ').length === 3) drawn.resolve(undefined);
  });
  const ended = once(child, 'exit');
  await drawn.promise;
  child.stdin.write('\x03');
  expect(await ended).toEqual([130, null]);
  expect(text).toContain('\x1b[?1049h');
  expect(text.trimEnd().endsWith('\x1b[?1049l')).toBe(true);
  const widths = text
    .split('\x1b[J')
    .slice(1)
    .flatMap((screen) => screen.replace('^C', '').split('\x1b[')[0]?.split('\r\n') ?? []);
  expect(Math.max(...widths.map((row) => row.length))).toBe(40);
});
