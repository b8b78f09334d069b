import { expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../../testing/scripted-api.ts';

const pointAt = (timestampUnix: number): object => ({
  timestamp: new Date(timestampUnix * 1000).toISOString(),
  timestampUnix,
  ...{ samples: 1, cpuCount: 2, cpuUsedPct: 12.34, cpuUsedPctMax: 20, cpuUsedSeconds: 0.1 },
  ...{ memRss: 1000, memCache: 2_000_000, memSwap: 0, memWorkingSet: 3000, memWorkingSetMax: 3000, memTotal: 9e9 },
  ...{ diskUsed: 1e9, diskTotal: 1e10, diskReadBytes: 5, diskWrittenBytes: 6e6 },
  ...{ networkReceivedBytes: 7, networkSentBytes: 8, networkReceivedPackets: 1, networkSentPackets: 1 },
});
const page = (...times: readonly number[]): { status: number; body: object } => ({
  status: 200,
  body: { step: 1, points: times.map(pointAt) },
});

test('metrics are printed as lines of fixed columns, from the time that --since names', async () => {
  await using api = await startScriptedApi([page(1000, 1001)]);
  const before = Math.floor(Date.now() / 1000);
  const { code, stdout } = await runCli(['sandbox', 'metrics', 'i1', '--since', '2h', '--step', '60'], api.environment);
  expect(code).toBe(0);
  const [headings = '', line = '', ...others] = stdout.trimEnd().split('\n');
  expect(others).toHaveLength(1);
  expect(headings.split(/ {2,}/)).toEqual([
    'TIME',
    'CPU %',
    'MEMORY',
    'RSS',
    'CACHE',
    'SWAP',
    'DISK',
    'READ',
    'WRITTEN',
    'RECEIVED',
    'SENT',
  ]);
  expect(line.split(/ {2,}/)).toEqual([
    '1970-01-01T00:16:40.000Z',
    '12.3',
    '3.0 KB',
    '1.0 KB',
    '2.0 MB',
    '0 B',
    '1.0 GB',
    '5 B',
    '6.0 MB',
    '7 B',
    '8 B',
  ]);
  const [, start, step] =
    /^GET \/sandboxes\/i1\/metrics\/history\?start=(\d+)&step=(\d+)$/.exec(api.seen[0]?.line ?? '') ?? [];
  expect(Math.abs(Number(start) - (before - 7200))).toBeLessThan(30);
  expect(step).toBe('60');
});

test('--follow goes on after a lost connection with the next second, until the server is gone', async () => {
  const stream = (...times: readonly number[]): ScriptedAnswer => ({
    ...{ status: 200, headers: { 'content-type': 'application/x-ndjson' } },
    body: times.map((time) => `${JSON.stringify({ point: pointAt(time) })}\n`).join(''),
  });
  const gone = { status: 503, body: { code: 503, message: 'stopping' } };
  await using api = await startScriptedApi([stream(10, 11), stream(12), gone, gone]);
  const once = { ...api.environment, SOULBOX_RETRY_ATTEMPTS: '2' };
  const { code, stdout, stderr } = await runCli(['sandbox', 'metrics', 'i1', '--follow', '--json'], once);
  const times = stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { timestampUnix: number }).timestampUnix);
  expect([code, times]).toEqual([1, [10, 11, 12]]);
  expect(stderr).toContain('stopping');
  const asked = api.seen.slice(1, 3).map(({ line }) => line.split('?')[1]);
  expect(asked).toEqual(['start=12&step=1', 'start=13&step=1']);
}, 20_000);

const custom = {
  series: [
    {
      ...{ name: 'jobs', type: 'counter', help: '', labels: { queue: 'a\u001b[31m', kind: 'x\u009b2J' } },
      points: [{ timestampUnix: 1000, value: 'NaN' }],
    },
  ],
  rejected: 1,
  faults: ['a.prom: line 3: no valid value'],
};

test('--custom prints what programs report, with faults as warnings and nothing that a terminal would obey', async () => {
  await using api = await startScriptedApi([
    { status: 200, body: custom },
    { status: 200, body: custom },
  ]);
  const { code, stdout, stderr } = await runCli(['sandbox', 'metrics', 'i1', '--custom'], api.environment);
  expect([code, api.seen[0]?.line]).toEqual([0, 'GET /sandboxes/i1/metrics/custom']);
  expect(stdout).toContain('jobs  queue="a\\u001b[31m" kind="x·2J"  counter  NaN    1970-01-01T00:16:40.000Z\n');
  expect(stderr).toBe('warning: a.prom: line 3: no valid value\n');
  const asJson = await runCli(['sandbox', 'metrics', 'i1', '--custom', '--json'], api.environment);
  expect(JSON.parse(asJson.stdout)).toEqual(custom.series);
});

test('--custom --follow prints each new value once, until the sandbox has ended', async () => {
  const at = (timestampUnix: number, value: number): string => {
    const [series] = custom.series;
    return `${JSON.stringify({ custom: { ...custom, series: [{ ...series, points: [{ timestampUnix, value }] }] } })}\n`;
  };
  const body = `${at(10, 1)}${JSON.stringify({ point: pointAt(10) })}\n${at(10, 1)}${at(11, 2)}{"ended":true}\n`;
  await using api = await startScriptedApi([
    { status: 200, headers: { 'content-type': 'application/x-ndjson' }, body },
  ]);
  const { code, stdout, stderr } = await runCli(['sandbox', 'metrics', 'i1', '--custom', '--follow'], api.environment);
  expect([code, api.seen[0]?.line]).toEqual([
    0,
    expect.stringMatching(/^GET \/sandboxes\/i1\/metrics\/history\?start=\d+&custom=true$/),
  ]);
  expect(stdout.trimEnd().split('\n')).toEqual([
    '1970-01-01T00:00:10.000Z  jobs{queue="a\\u001b[31m" kind="x·2J"}  1',
    '1970-01-01T00:00:11.000Z  jobs{queue="a\\u001b[31m" kind="x·2J"}  2',
  ]);
  expect(stderr).toContain('has ended');
});

test('--custom has no history', async () => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['sandbox', 'metrics', 'i1', '--custom', '--since', '1h'], api.environment);
  expect([code, api.seen.length]).toEqual([2, 0]);
  expect(stderr).toContain('--since');
});

test.each([
  ['--since', 'yesterday'],
  ['--since', '0s'],
  ['--since', '31d'],
  ['--step', '0'],
  ['--step', '86401'],
])('%s %s is refused before anything is sent', async (flag, value) => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['sandbox', 'metrics', 'i1', flag, value], api.environment);
  expect([code, api.seen.length]).toEqual([2, 0]);
  expect(stderr).toContain(value);
});
