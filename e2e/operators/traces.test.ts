import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { removeTree } from '@soulbox/base';
import { listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { startCollector } from '@soulbox/tracing/testing';
import type { CollectedSpan, Collector } from '@soulbox/tracing/testing';
import { Template } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectionOf } from '../harness/drill.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
const secret = 'a-secret-that-a-user-sends';
let collector: Collector;
let server: ServerProcess;

beforeAll(async () => {
  collector = await startCollector();
  const environment = { SOULBOX_ISOLATION: shared.isolation, SOULBOX_TRACES_URL: collector.url };
  server = await startServer({ instance, poolSize: 1, environment });
});
afterAll(async () => {
  await server.stop();
  await collector[Symbol.asyncDispose]();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

interface Traced {
  readonly status: number;
  readonly json: unknown;
  readonly headers: Headers;
  readonly traceId: string;
  readonly callerSpanId: string;
}

/** A request in a trace of its caller. */
async function ask(method: string, path: string, body?: object, traceparent?: string): Promise<Traced> {
  const { apiUrl, apiKey } = connectionOf(server);
  const [traceId, callerSpanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const response = await fetch(`${apiUrl}${path}`, {
    method,
    headers: {
      'x-api-key': apiKey,
      traceparent: traceparent ?? `00-${traceId}-${callerSpanId}-01`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json: unknown = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, json, headers: response.headers, traceId, callerSpanId };
}

/** The spans of a trace, once those of the request and of the runner are there. Each process sends its own. */
async function spansOf({ traceId }: { readonly traceId: string }): Promise<CollectedSpan[]> {
  return await until('all spans of a trace', () => {
    const spans = collector.spans.filter((span) => span.traceId === traceId);
    const tops = spans.filter((span) => !spans.some(({ spanId }) => spanId === span.parentSpanId));
    const hasRunner = spans.some(({ service }) => service === 'soulbox-runner');
    return hasRunner && tops.length === 1 && tops[0]?.service === 'soulbox-control' && spans;
  });
}

/** The names from a span up to the request. */
function pathOf(spans: readonly CollectedSpan[], name: string): string[] {
  const names: string[] = [];
  let next = spans.find((one) => one.name === name);
  while (next !== undefined) {
    const { name: found, parentSpanId } = next;
    names.push(found);
    next = spans.find(({ spanId }) => spanId === parentSpanId);
  }
  return names;
}

/** The phases that the response reports are those that are spans. */
function expectPhases(spans: readonly CollectedSpan[], headers: Headers): void {
  const told = (headers.get('server-timing') ?? '').split(', ').map((entry) => entry.split(';')[0] ?? '');
  const names = new Set(spans.map(({ name }) => name));
  expect(told.filter((name) => name !== 'total' && !names.has(name))).toEqual([]);
  expect(told.length).toBeGreaterThan(3);
}

const call = 'soulbox.runner.v1.RunnerService';

test('a create, a pause, a resume and a fork are one trace each, from the API to envd', async () => {
  const body = { templateID: 'base', metadata: { secret }, envVars: { SECRET: secret } };
  const created = await ask('POST', '/v2/sandboxes?timings=1', body);
  expect([created.status, created.headers.get('x-trace-id')]).toEqual([201, created.traceId]);
  const ofCreate = await spansOf(created);
  expectPhases(ofCreate, created.headers);
  expect(pathOf(ofCreate, 'create.confirm')).toEqual([
    ...['create.confirm', 'create', `${call}/CreateSandbox`, `${call}/CreateSandbox`, 'POST /v2/sandboxes'],
  ]);
  expect(pathOf(ofCreate, 'POST /init').slice(0, 3)).toEqual(['POST /init', 'envd POST /init', 'create.confirm']);
  const request = ofCreate.find(({ name }) => name === 'POST /v2/sandboxes');
  expect(request).toMatchObject({ parentSpanId: created.callerSpanId, kind: 2, service: 'soulbox-control' });
  expect(request?.attributes).toMatchObject({ 'http.response.status_code': 201, 'http.route': '/v2/sandboxes' });
  for (const span of ofCreate) expect(span.endNano).toBeGreaterThanOrEqual(span.startNano);

  const id = (created.json as { sandboxID: string }).sandboxID;
  const paused = await ask('POST', `/sandboxes/${id}/pause?timings=1`);
  const ofPause = await spansOf(paused);
  expectPhases(ofPause, paused.headers);
  expect(pathOf(ofPause, 'driver.checkpoint').slice(0, 3)).toEqual(['driver.checkpoint', 'pause.save', 'pause']);

  const resumed = await ask('POST', `/sandboxes/${id}/resume?timings=1`, { timeout: 60 });
  const ofResume = await spansOf(resumed);
  expectPhases(ofResume, resumed.headers);
  expect(pathOf(ofResume, 'driver.restore').slice(0, 3)).toEqual(['driver.restore', 'resume.restore', 'resume']);
  expect(pathOf(ofResume, 'POST /resumed').slice(0, 2)).toEqual(['POST /resumed', 'envd POST /resumed']);

  const forked = await ask('POST', `/sandboxes/${id}/fork?timings=1`, { count: 1 });
  const ofFork = await spansOf(forked);
  expectPhases(ofFork, forked.headers);
  expect(pathOf(ofFork, 'copy').slice(0, 3)).toEqual(['copy', 'fork.copies', 'fork']);
  expect(collector.text()).not.toContain(secret);
  expect(collector.text()).not.toContain(id);
});

test('a resume by traffic is in the trace of the request that woke the sandbox', async () => {
  const body = { templateID: 'base', autoPause: true, autoResume: { enabled: true } };
  const { json } = await ask('POST', '/v2/sandboxes', body);
  const { sandboxID, envdAccessToken } = json as { sandboxID: string; envdAccessToken: string };
  expect((await ask('POST', `/sandboxes/${sandboxID}/pause`)).status).toBe(204);
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const response = await fetch(`${connectionOf(server).sandboxUrl}/envs`, {
    headers: {
      ...{ 'e2b-sandbox-id': sandboxID, 'e2b-sandbox-port': '49983', 'x-access-token': envdAccessToken },
      traceparent: `00-${traceId}-${spanId}-01`,
    },
  });
  expect(response.status).toBe(200);
  const spans = await until('the spans', () => {
    const found = collector.spans.filter((span) => span.traceId === traceId);
    return found.some(({ name }) => name.endsWith('/Wake')) && found;
  });
  const path = pathOf(spans, 'driver.restore');
  expect(path).toEqual(['driver.restore', 'resume.restore', 'resume', 'soulbox.runner.v1.RoutingService/Wake']);
  expect(spans.find(({ name }) => name.endsWith('/Wake'))?.parentSpanId).toBe(spanId);
  await ask('DELETE', `/sandboxes/${sandboxID}`);
});

test('a build is in the trace of the request that started it', async () => {
  const name = `traced-${randomBytes(4).toString('hex')}`;
  await Template.build(Template().fromTemplate('base').runCmd('true'), name, connectionOf(server));
  const build = await until('the span', () => collector.spans.find((span) => span.name === 'build'));
  const spans = await spansOf(build);
  expect(pathOf(spans, 'build.steps').slice(-4)).toEqual([
    ...['build.steps', 'build', `${call}/RunBuild`, 'POST /v2/templates/:templateID/builds/:buildID'],
  ]);
  for (const phase of ['base', 'steps', 'finish']) expect(pathOf(spans, `build.${phase}`)[1]).toBe('build');
  expect(spans.map((span) => span.name)).toContain('boot');
});

test('an error names its request and its trace, and so do the lines of the log', async () => {
  const failed = await ask('POST', '/sandboxes/ibutnotthere0000000/pause');
  expect([failed.status, failed.headers.get('x-trace-id')]).toEqual([404, failed.traceId]);
  const requestId = failed.headers.get('x-request-id');
  const created = await ask('POST', '/v2/sandboxes', { templateID: 'base' });
  const readLines = async (): Promise<Readonly<Record<string, unknown>>[]> =>
    (await readFile(join(server.dataDirectory, 'server.log'), 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  // Each process of the server writes its own lines, a moment later.
  const lines = await until('the lines', async () => {
    const all = await readLines();
    const isThere = (part: string): boolean =>
      all.some((line) => line['traceId'] === created.traceId && line['part'] === part);
    return ['api', 'runner'].every(isThere) && all;
  });
  expect(lines.find((line) => line['requestId'] === requestId && line['msg'] === 'request')).toMatchObject({
    traceId: failed.traceId,
  });
  const ofCreate = lines.filter((line) => line['traceId'] === created.traceId);
  expect(new Set(ofCreate.map((line) => line['part']))).toEqual(new Set(['api', 'runner']));
  expect(new Set(ofCreate.map((line) => line['requestId']))).toEqual(new Set([created.headers.get('x-request-id')]));
});

test('a traceparent that is not valid begins a new trace', async () => {
  const { status, headers } = await ask(
    'GET',
    '/sandboxes/metrics',
    undefined,
    `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
  );
  expect(status).toBe(400);
  expect(headers.get('x-trace-id')).toMatch(/^[0-9a-f]{32}$/);
  expect(headers.get('x-trace-id')).not.toBe('0'.repeat(32));
});
