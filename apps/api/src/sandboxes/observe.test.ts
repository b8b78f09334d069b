import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { customSeries, logEntry, metric, metricPoint } from '../testing/observed.ts';
import { objectCacheFigures } from '../testing/object-cache-figures.ts';
import { metricsToken, startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeEach(async () => {
  // With all that can be reported.
  api = await startTestApi({ readObjectCache: () => Promise.resolve(objectCacheFigures) });
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  id = (answer.json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

describe('metrics of a sandbox', () => {
  it('start with the sandbox, oldest first, with the documented fields', async () => {
    const now = Date.now();
    api.runner.metrics.set(id, [metric(now - 999_000, 1), metric(now + 10, 2), metric(now + 20, 3)]);
    const answer = await api.ask('GET', `/sandboxes/${id}/metrics`);
    expect(answer.json).toMatchObject([{ cpuUsedPct: 2 }, { cpuUsedPct: 3 }]);
    expect((answer.json as unknown[])[0]).toEqual({
      timestamp: new Date(now + 10).toISOString(),
      timestampUnix: Math.floor((now + 10) / 1000),
      cpuCount: 2,
      cpuUsedPct: 2,
      memUsed: 1000,
      memTotal: 4000,
      memCache: 200,
      diskUsed: 5,
      diskTotal: 6,
    });
  });

  it('can be requested for a span in Unix seconds, including both ends', async () => {
    api.runner.metrics.set(id, [metric(1_000_000, 1), metric(1_001_500, 2), metric(1_003_000, 3)]);
    const answer = await api.ask('GET', `/sandboxes/${id}/metrics?start=1000&end=1001`);
    expect(answer.json).toMatchObject([{ cpuUsedPct: 1 }, { cpuUsedPct: 2 }]);
  });

  it('are thinned to 1000 samples including the newest', async () => {
    const base = Math.floor(Date.now() / 1000) * 1000;
    api.runner.metrics.set(
      id,
      Array.from({ length: 3601 }, (_, n) => metric(base - 3601_000 + n * 1000, n)),
    );
    const answer = await api.ask('GET', `/sandboxes/${id}/metrics?start=0&end=${base / 1000}`);
    const samples = answer.json as { cpuUsedPct: number }[];
    expect(samples.length).toBeGreaterThan(500);
    expect(samples.length).toBeLessThanOrEqual(1000);
    expect(samples.at(-1)?.cpuUsedPct).toBe(3600);
  });

  it('are empty before the first sample', async () => {
    expect((await api.ask('GET', `/sandboxes/${id}/metrics`)).json).toEqual([]);
  });

  it.each(['start=-1', 'start=abc', 'end=1e309', 'end=9007199254740992', 'start=1.5'])('refuse %s', async (query) => {
    expect((await api.ask('GET', `/sandboxes/${id}/metrics?${query}`)).status).toBe(400);
  });

  it('of several sandboxes leave unknown ones out', async () => {
    api.runner.metrics.set(id, [metric(1000, 1), metric(2000, 2)]);
    const answer = await api.ask('GET', `/sandboxes/metrics?sandbox_ids=${id},iunknown,..%2F..,,__proto__`);
    expect(answer.json).toEqual({ sandboxes: { [id]: expect.objectContaining({ cpuUsedPct: 2 }) as object } });
  });

  it('of more than 100 sandboxes or of none are refused', async () => {
    const many = Array.from({ length: 101 }, (_, n) => `i${n}`).join(',');
    expect((await api.ask('GET', `/sandboxes/metrics?sandbox_ids=${many}`)).status).toBe(400);
    expect((await api.ask('GET', '/sandboxes/metrics')).status).toBe(400);
    expect((await api.ask('GET', '/sandboxes/metrics?sandbox_ids=')).status).toBe(400);
  });
});

describe('the history of the metrics of a sandbox', () => {
  const hour = 3_600_000;
  let nowMs: number;
  beforeEach(() => {
    nowMs = Math.floor(Date.now() / hour) * hour;
  });
  const ask = async (query = ''): Promise<unknown> =>
    (await api.ask('GET', `/sandboxes/${id}/metrics/history${query}`)).json;

  it('has the step that was asked for, and all figures', async () => {
    api.runner.points.set(`${id} 7`, [metricPoint(1_000_000, 1), metricPoint(1_007_000, 2), metricPoint(2_000_000, 3)]);
    const { step, points } = (await ask('?start=1000&end=1010&step=7')) as { step: number; points: object[] };
    expect([step, points.length]).toEqual([7, 2]);
    expect(points[1]).toMatchObject({
      ...{ timestamp: '1970-01-01T00:16:47.000Z', timestampUnix: 1007, samples: 60, cpuUsedPct: 2 },
      ...{ memRss: 300, memWorkingSet: 1000, memTotal: 4000, networkSentBytes: 2 ** 40, diskReadBytes: 0 },
    });
  });

  it('has seconds of a young sandbox by default', async () => {
    api.runner.points.set(`${id} 1`, [metricPoint(Date.now(), 4)]);
    expect(await ask()).toMatchObject({ step: 1, points: [{ cpuUsedPct: 4 }] });
  });

  it('goes back beyond the seconds for clients of E2B, with each time once', async () => {
    api.runner.metrics.set(id, [metric(nowMs - 60_000, 1), metric(nowMs - 59_000, 2)]);
    api.runner.points.set(`${id} 60`, [metricPoint(nowMs - 2 * hour, 10), metricPoint(nowMs - 60_000, 11)]);
    api.runner.points.set(
      `${id} 3600`,
      [48, 3, 2, 1].map((hours) => metricPoint(nowMs - hours * hour, 100 + hours)),
    );
    const since = async (startMs: number): Promise<number[]> => {
      const answer = await api.ask('GET', `/sandboxes/${id}/metrics?start=${startMs / 1000}`);
      return (answer.json as { cpuUsedPct: number }[]).map(({ cpuUsedPct }) => cpuUsedPct);
    };
    expect(await since(nowMs - 60_000)).toEqual([1, 2]);
    expect(await since(nowMs - 3 * hour)).toEqual([10, 1, 2]);
    expect(await since(nowMs - 50 * hour)).toEqual([148, 103, 10, 1, 2]);
  });

  it.each(['step=0', 'step=-1', 'step=1.5', 'step=86401', 'step=x', 'start=-1', 'end=1e309'])(
    'refuses %s',
    async (query) => {
      expect((await api.ask('GET', `/sandboxes/${id}/metrics/history?${query}`)).status).toBe(400);
    },
  );

  it('is not shown to another team', async () => {
    const answer = await api.ask('GET', `/sandboxes/${id}/metrics/history`, { key: api.otherKey });
    expect(answer.status).toBe(404);
  });
});

describe('metrics that programs in a sandbox report', () => {
  const ask = async (query = ''): Promise<unknown> =>
    (await api.ask('GET', `/sandboxes/${id}/metrics/custom${query}`)).json;
  beforeEach(() => {
    api.runner.custom.set(id, [
      customSeries('jobs', { queue: 'a"\n', sandbox_id: 'forged' }, 1, 2, 3),
      customSeries('odd', {}, Number.NaN, -Infinity, Infinity),
    ]);
  });

  it('have their newest values, with what was rejected', async () => {
    expect(await ask()).toEqual({
      series: [
        {
          ...{ name: 'jobs', type: 'gauge', help: 'Help.', labels: { queue: 'a"\n', sandbox_id: 'forged' } },
          points: [{ timestampUnix: 1002, value: 3 }],
        },
        { name: 'odd', type: 'gauge', help: 'Help.', labels: {}, points: [{ timestampUnix: 1002, value: '+Inf' }] },
      ],
      rejected: 1,
      faults: ['a.prom: line 3: no valid value'],
    });
  });

  it('can be chosen by name and time', async () => {
    expect(await ask('?name=odd&start=1000&end=1001')).toMatchObject({
      series: [{ name: 'odd', points: [{ value: 'NaN' }, { timestampUnix: 1001, value: '-Inf' }] }],
    });
    expect(await ask('?start=1003')).toMatchObject({ series: [] });
    expect(await ask('?name=__proto__')).toMatchObject({ series: [] });
  });

  it('are in the Prometheus text on request, under the name of their sandbox', async () => {
    const headers = { authorization: `Bearer ${api.key}` };
    const without = await api.ask('GET', '/metrics', { key: null, headers });
    expect(without.text).not.toContain('jobs');
    const { text } = await api.ask('GET', '/metrics?custom=1', { key: null, headers });
    const own = `sandbox_id="${id}",template="base"`;
    expect(text).toContain('# TYPE jobs untyped\n');
    expect(text).toContain(`jobs{${own},queue="a\\"\\n",exported_sandbox_id="forged"} 3\n`);
    expect(text).toContain(`odd{${own}} +Inf\n`);
    const theirs = await api.ask('GET', '/metrics?custom=1', { key: api.otherKey });
    expect(theirs.text).not.toContain('jobs');
  });

  it('are not shown to another team', async () => {
    const answer = await api.ask('GET', `/sandboxes/${id}/metrics/custom`, { key: api.otherKey });
    expect(answer.status).toBe(404);
  });
});

describe('logs of a sandbox', () => {
  beforeEach(() => {
    api.runner.logs.set(id, [
      logEntry(1000, 'debug', 'alpha', { pid: '7' }),
      logEntry(2000, 'info', 'beta', { level: 'forged', logger: 'forged' }),
      logEntry(3000, 'LOUD', 'gamma\n"quoted"'),
      logEntry(4000, 'error', 'delta'),
    ]);
  });
  const messages = async (query: string): Promise<string[]> => {
    const answer = await api.ask('GET', `/v2/sandboxes/${id}/logs${query}`);
    return (answer.json as { logs: { message: string }[] }).logs.map((entry) => entry.message.split('\n')[0] ?? '');
  };

  it('in v1 have lines of JSON with level and logger, whatever the entry contains', async () => {
    const answer = await api.ask('GET', `/sandboxes/${id}/logs?start=1000&limit=3`);
    const { logs, logEntries } = answer.json as { logs: { timestamp: string; line: string }[]; logEntries: unknown[] };
    expect(logs.map(({ line }) => JSON.parse(line) as unknown)).toEqual([
      { pid: '7', level: 'debug', logger: 'envd', message: 'alpha' },
      { level: 'info', logger: 'envd', message: 'beta' },
      { level: 'info', logger: 'envd', message: 'gamma\n"quoted"' },
    ]);
    expect(logs[0]?.timestamp).toBe('1970-01-01T00:00:01.000Z');
    expect(logEntries).toHaveLength(3);
  });

  it('in v1 continue after the last entry seen', async () => {
    const answer = await api.ask('GET', `/sandboxes/${id}/logs?start=3001`);
    expect((answer.json as { logs: unknown[] }).logs).toHaveLength(1);
  });

  it('in v2 run forward from a cursor or backward from it', async () => {
    expect(await messages('')).toEqual(['alpha', 'beta', 'gamma', 'delta']);
    expect(await messages('?cursor=2000&limit=2')).toEqual(['beta', 'gamma']);
    expect(await messages('?direction=backward&limit=2')).toEqual(['delta', 'gamma']);
    expect(await messages('?direction=backward&cursor=2000')).toEqual(['beta', 'alpha']);
    expect(await messages('?limit=0')).toEqual([]);
  });

  it('in v2 can be filtered by lowest level and by text', async () => {
    expect(await messages('?level=warn')).toEqual(['delta']);
    expect(await messages('?level=info')).toEqual(['beta', 'gamma', 'delta']);
    expect(await messages('?search=et')).toEqual(['beta']);
    expect(await messages('?search=.*')).toEqual([]);
  });

  it.each(['limit=1001', 'limit=-1', 'cursor=x', 'direction=up', 'level=loud', `search=${'a'.repeat(257)}`])(
    'refuse %s',
    async (query) => {
      expect((await api.ask('GET', `/v2/sandboxes/${id}/logs?${query}`)).status).toBe(400);
    },
  );
});

describe('the Prometheus text', () => {
  it("contains the team's sandboxes and accepts the key as a bearer token", async () => {
    api.runner.metrics.set(id, [metric(1000, 12.5)]);
    const answer = await api.ask('GET', '/metrics', { key: null, headers: { authorization: `Bearer ${api.key}` } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(answer.text).toContain(`soulbox_sandbox_cpu_used_percent{sandbox_id="${id}",template="base"} 12.5\n`);
    expect(answer.text).toContain(`soulbox_sandbox_network_sent_bytes_total{sandbox_id="${id}",template="base"} 7\n`);
    expect(answer.text).toContain('soulbox_sandboxes_running 1\n');
    for (const line of answer.text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? -?[0-9.e+-]+)$/);
  });

  it('shows nothing of another team', async () => {
    api.runner.metrics.set(id, [metric(1000, 12.5)]);
    const answer = await api.ask('GET', '/metrics', { key: api.otherKey });
    expect(answer.text).not.toContain(id);
    expect(answer.text).toContain('soulbox_sandboxes_running 0\n');
  });

  it("shows the server's own figures to the operator's token, and none of a team", async () => {
    api.runner.metrics.set(id, [metric(1000, 12.5)]);
    const ofServer = /process_|soulbox_api_|heap/;
    for (const key of [api.key, api.otherKey])
      expect((await api.ask('GET', '/metrics', { key })).text).not.toMatch(ofServer);
    const headers = { authorization: `Bearer ${metricsToken}` };
    const { status, text } = await api.ask('GET', '/metrics', { key: null, headers });
    expect(status).toBe(200);
    expect(text).toMatch(
      /soulbox_api_request_duration_seconds_bucket\{method="POST",route="\/v2\/sandboxes",status="201",le="\+Inf"\} 1\n/,
    );
    expect(text).toMatch(/^process_resident_memory_bytes\{process="control"\} \d+$/m);
    expect(text).toContain('soulbox_sandboxes_running 1\n');
    expect(text).not.toContain(id);
  });

  it('shows the operator the signs of coming problems', async () => {
    const headers = { authorization: `Bearer ${metricsToken}` };
    await api.ask('POST', `/sandboxes/${id}/pause`);
    await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'slow' } });
    await api.records.quotas.setLimits(api.teamId, { sandboxes: 0 });
    await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
    const { text } = await api.ask('GET', '/metrics', { key: null, headers });
    for (const line of [
      ...['soulbox_sandboxes_running 0', 'soulbox_sandboxes_paused 1', 'soulbox_pool_ready 3', 'soulbox_pool_wanted 4'],
      'soulbox_blobs_readable 0',
      ...['soulbox_pool_booting 1', 'soulbox_pool_waiting 2', 'soulbox_sandbox_start_failures_total 5'],
      ...[
        'soulbox_cache_uses_total{cache="build_step",outcome="hit"} 6',
        'soulbox_host_load1 1.5',
        'soulbox_host_cpus 2',
      ],
      ...['soulbox_host_memory_available_bytes 3000', 'soulbox_host_memory_total_bytes 4000'],
      ...['soulbox_pool_creates_total{outcome="hit"} 8', 'soulbox_pool_creates_total{outcome="miss"} 1'],
      'soulbox_request_failures_total{reason="template_being_made"} 1',
      'soulbox_request_refusals_total{reason="too_many_sandboxes"} 1',
    ])
      expect(text).toContain(`${line}\n`);
    const valueOf = (name: string): number =>
      Number(new RegExp(`^${name}\\{process="control"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(valueOf('process_open_fds')).toBeGreaterThan(5);
    expect(valueOf('process_max_fds')).toBeGreaterThan(valueOf('process_open_fds'));
    expect(valueOf('nodejs_eventloop_lag_max_seconds')).toBeGreaterThanOrEqual(
      valueOf('nodejs_eventloop_lag_p50_seconds'),
    );
    for (const family of text.matchAll(/^# TYPE (\S+) (\S+)$/gm))
      expect(family[1]?.endsWith('_total')).toBe(family[2] === 'counter');
  });

  it('shows the operator the durations of operations, each bucket including the lower ones', async () => {
    const headers = { authorization: `Bearer ${metricsToken}` };
    const { text } = await api.ask('GET', '/metrics', { key: null, headers });
    const labels = 'operation="resume",phase="restore"';
    for (const line of [
      ...[`_bucket{${labels},le="0.01"} 1`, `_bucket{${labels},le="0.1"} 3`, `_bucket{${labels},le="+Inf"} 4`],
      ...[`_sum{${labels}} 1.5`, `_count{${labels}} 4`],
    ])
      expect(text).toContain(`soulbox_operation_phase_seconds${line}\n`);
  });

  it('shows the resource usage of each process of the server', async () => {
    const headers = { authorization: `Bearer ${metricsToken}` };
    const { text } = await api.ask('GET', '/metrics', { key: null, headers });
    expect(text).toMatch(/^process_resident_memory_bytes\{process="control"\} \d{8,}$/m);
    expect(text).toMatch(/^process_resident_memory_bytes\{process="runner"\} 7000000$/m);
    expect(text).toMatch(/^process_max_fds\{process="runner"\} \+Inf$/m);
    expect(text).toMatch(/^process_resident_memory_bytes\{process="gateway"\} 5000000$/m);
    expect(text).toMatch(/^soulbox_process_restarts_total\{process="gateway"\} 2$/m);
    expect(text).not.toMatch(/nodejs_eventloop_lag_\w+\{process="gateway"/);
  });

  it("matches the operator's table in docs/operations.md exactly", async () => {
    const headers = { authorization: `Bearer ${metricsToken}` };
    const { text } = await api.ask('GET', '/metrics', { key: null, headers });
    const shown = [...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1]);
    const page = await readFile(join(import.meta.dirname, '../../../../docs/operations.md'), 'utf8');
    const told = [...page.matchAll(/^\| `((?:soulbox|process|nodejs)_\w+)/gm)].map((match) => match[1]);
    expect(told.sort()).toEqual([...shown, 'soulbox_request_failures_total', 'soulbox_request_refusals_total'].sort());
  });

  it("accepts the operator's token nowhere else, and no other token for it", async () => {
    const token = { key: null, headers: { authorization: `Bearer ${metricsToken}` } };
    for (const path of ['/teams', '/v2/sandboxes', '/api-keys'])
      for (const options of [token, { key: metricsToken }])
        expect((await api.ask('GET', path, options)).status, path).toBe(401);
    for (const key of [`${metricsToken}0`, metricsToken.slice(0, -1), metricsToken.toUpperCase()])
      expect((await api.ask('GET', '/metrics', { key })).status).toBe(401);
  });

  it('needs a key', async () => {
    expect((await api.ask('GET', '/metrics', { key: null })).json).toMatchObject({ code: 401 });
  });
});

describe('metrics of a team', () => {
  it('count running sandboxes and starts', async () => {
    await api.ask('DELETE', `/sandboxes/${id}`);
    await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
    const end = Math.ceil(Date.now() / 1000) + 5;
    const answer = await api.ask('GET', `/teams/${api.teamId}/metrics?start=${end - 20}&end=${end}`);
    const points = answer.json as { concurrentSandboxes: number; sandboxStartRate: number; timestampUnix: number }[];
    expect(points).toHaveLength(5);
    expect(points.at(-1)).toMatchObject({ concurrentSandboxes: 1, timestampUnix: end });
    expect(points[0]).toMatchObject({ concurrentSandboxes: 0, sandboxStartRate: 0 });
    expect(points.reduce((sum, point) => sum + point.sandboxStartRate * 5, 0)).toBeCloseTo(2);
  });

  it('of another team are not found, and a span must not be negative', async () => {
    expect((await api.ask('GET', `/teams/${api.otherTeamId}/metrics`)).status).toBe(404);
    expect((await api.ask('GET', `/teams/${api.teamId}/metrics?start=10&end=5`)).status).toBe(400);
  });
});
