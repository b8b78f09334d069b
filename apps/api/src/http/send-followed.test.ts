import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { customSeries, logEntry, metricPoint } from '../testing/observed.ts';
import { metricsToken, startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  id = (answer.json as { sandboxID: string }).sandboxID;
});

interface Line {
  readonly log?: { readonly message: string };
  readonly cursor?: string;
  readonly point?: { readonly cpuUsedPct: number; readonly timestampUnix: number };
  readonly custom?: { readonly series: readonly { readonly name: string }[] };
  readonly event?: { readonly type: string; readonly sequence: number };
  readonly ended?: boolean;
}

/** A stream that goes on until `stop`. `lines` grows as they arrive. */
async function follow(path: string, key = api.key) {
  const left = new AbortController();
  const headers = { 'x-api-key': key, accept: 'application/x-ndjson' };
  const answer = await fetch(`${api.url}${path}`, { headers, signal: left.signal });
  const lines: Line[] = [];
  const ended = (async () => {
    let rest = '';
    for await (const text of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) if (line !== '') lines.push(JSON.parse(line) as Line);
    }
  })().catch(() => undefined);
  return { status: answer.status, type: answer.headers.get('content-type'), lines, ended, stop: () => left.abort() };
}
const said = (lines: readonly Line[]): (string | undefined)[] => lines.map(({ log }) => log?.message);

it('a log goes on with what is new, and continues after any line', async () => {
  const entries = [logEntry(1000, 'info', 'a'), logEntry(2000, 'warn', 'b'), logEntry(2000, 'info', 'c')];
  api.runner.logs.set(id, entries);
  const one = await follow(`/v2/sandboxes/${id}/logs`);
  expect(one.type).toBe('application/x-ndjson');
  await until(() => one.lines.length === 3);
  entries.push(logEntry(1500, 'info', 'late'));
  await until(() => one.lines.length === 4);
  one.stop();
  expect(said(one.lines)).toEqual(['a', 'b', 'c', 'late']);
  const again = await follow(`/v2/sandboxes/${id}/logs?after=${one.lines[1]?.cursor ?? ''}`);
  await until(() => again.lines.length === 2);
  again.stop();
  expect(said(again.lines)).toEqual(['c', 'late']);
});

it('a log begins where the client says, and has what it asks for', async () => {
  const entries = Array.from({ length: 9 }, (_, n) => logEntry(n * 1000, n % 2 === 0 ? 'info' : 'error', `m${n}`));
  api.runner.logs.set(id, entries);
  const asked = ['limit=2', 'cursor=6000', 'level=error&search=m7', 'limit=0'];
  const all = await Promise.all(asked.map(async (query) => await follow(`/v2/sandboxes/${id}/logs?${query}`)));
  entries.push(logEntry(1, 'error', 'm7, the last'));
  await until(() => all.every(({ lines }) => said(lines).at(-1) === 'm7, the last'));
  for (const { stop } of all) stop();
  const last = 'm7, the last';
  expect(all.map(({ lines }) => said(lines))).toEqual([
    ['m7', 'm8', last],
    ['m6', 'm7', 'm8', last],
    ['m7', last],
    [last],
  ]);
});

it('metrics go on with each second that is over, and custom metrics where asked', async () => {
  const second = Math.floor(Date.now() / 1000);
  const points = Array.from({ length: 600 }, (_, n) => metricPoint((second - 4 + n) * 1000, n));
  api.runner.points.set(`${id} 1`, points);
  api.runner.custom.set(id, [customSeries('jobs', {}, 1)]);
  const path = `/sandboxes/${id}/metrics/history`;
  const [plain, all] = [await follow(path), await follow(`${path}?start=${second - 4}&custom=true`)];
  await until(() => plain.lines.length === 2);
  plain.stop();
  all.stop();
  const [one, two] = plain.lines.map(({ point }) => point?.timestampUnix ?? 0);
  expect(one).toBeGreaterThanOrEqual(second);
  expect([two, (two ?? 0) * 1000 < Date.now() - 1000]).toEqual([(one ?? 0) + 1, true]);
  const read = all.lines.flatMap(({ point }) => (point === undefined ? [] : [point.cpuUsedPct]));
  expect(read.slice(0, 4)).toEqual([0, 1, 2, 3]);
  expect(read).toEqual(read.map((_, n) => n));
  expect(all.lines.filter(({ custom }) => custom).map(({ custom }) => custom?.series[0]?.name)).toEqual(['jobs']);
});

it('events go on with the next one, or after the one that the client has', async () => {
  const [next, all] = [await follow('/events/sandboxes'), await follow(`/events/sandboxes/${id}?after=0`)];
  await until(() => all.lines.length === 1);
  await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  await until(() => next.lines.length === 1);
  expect(next.lines[0]?.event?.type).toBe('sandbox.lifecycle.created');
  expect(all.lines[0]?.event?.sequence).toBeLessThan(next.lines[0]?.event?.sequence ?? 0);
  next.stop();
  all.stop();
});

it('the end of the sandbox is the last line, and an absence of the runner is not noticed', async () => {
  const entries = [logEntry(1000, 'info', 'a')];
  api.runner.logs.set(id, entries);
  const { lines, ended } = await follow(`/v2/sandboxes/${id}/logs`);
  await until(() => lines.length === 1);
  api.runner.failure = connectErrorFromError(new SoulBoxError('runner_unavailable', 'away'));
  entries.push(logEntry(1001, 'info', 'b'));
  await sleep(1200);
  api.runner.failure = undefined;
  await until(() => lines.length === 2);
  await api.ask('DELETE', `/sandboxes/${id}`);
  await ended;
  expect(lines.at(-1)).toEqual({ ended: true });
});

it('what is wrong from the start has its own status, and takes no place', async () => {
  for (let n = 0; n < 70; n += 1) expect((await follow('/v2/sandboxes/inobody/logs')).status).toBe(404);
  for (const query of ['after=x', 'after=a-b-c', 'limit=-1', 'limit=1001'])
    expect((await follow(`/v2/sandboxes/${id}/logs?${query}`)).status).toBe(400);
  expect((await follow(`/sandboxes/${id}/metrics/history?custom=yes`)).status).toBe(400);
  expect((await follow(`/v2/sandboxes/${id}/logs`, 'wrong')).status).toBe(401);
});

it('a team has a limited number of streams, which are free again when their readers leave', async () => {
  const all = [];
  for (let n = 0; n < 64; n += 1) all.push(await follow('/events/sandboxes'));
  expect((await follow('/events/sandboxes')).status).toBe(429);
  // A list is no stream.
  expect((await api.ask('GET', '/events/sandboxes')).status).toBe(200);
  for (const { stop } of all) stop();
  await expect
    .poll(async () => {
      const { status, stop } = await follow('/events/sandboxes');
      stop();
      return status;
    })
    .toBe(200);
});

it('a reader that reads nothing costs two answers, and streams are no slow requests', async () => {
  let reads = 0;
  const original = api.runner.logs.get.bind(api.runner.logs);
  const page = Array.from({ length: 1000 }, (_, n) => logEntry(n, 'info', 'x'.repeat(16_000)));
  api.runner.logs.get = (sandboxId) => {
    if (sandboxId !== id) return original(sandboxId);
    reads += 1;
    return [...page, ...Array.from({ length: reads - 1 }, () => logEntry(9, 'info', 'next'))];
  };
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.pause();
  const head = ['host: x', `x-api-key: ${api.key}`, 'accept: application/x-ndjson'].join('\r\n');
  socket.write(`GET /v2/sandboxes/${id}/logs HTTP/1.1\r\n${head}\r\n\r\n`);
  await until(() => reads === 2);
  await sleep(2500);
  expect(reads).toBe(2);
  socket.destroy();
  api.runner.logs.get = original;
  const headers = { authorization: `Bearer ${metricsToken}` };
  const text = await (await fetch(`${api.url}/metrics`, { headers })).text();
  expect(text).not.toMatch(/request_duration.*\/logs".*status="200"/);
});
