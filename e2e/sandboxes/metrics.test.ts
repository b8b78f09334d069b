import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { apiKey, apiUrl, server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

test('metrics show CPU, memory and disk of the sandbox', async () => {
  const metrics = await until('a sample', async () => {
    const found = await sandbox().getMetrics();
    return found.length > 0 && found;
  });
  const info = await sandbox().getInfo();
  const latest = metrics.at(-1);
  expect(latest).toMatchObject({ cpuCount: info.cpuCount, memTotal: info.memoryMB * 1024 * 1024 });
  expect(latest?.memUsed).toBeGreaterThan(0);
  expect(latest?.memUsed).toBeLessThan(latest?.memTotal ?? 0);
  expect(latest?.diskTotal).toBeGreaterThan(0);
  expect(Math.abs((latest?.timestamp.getTime() ?? 0) - Date.now())).toBeLessThan(5000);
});

test('load appears in the next samples', async () => {
  await sandbox().commands.run(
    `timeout 3 sh -c 'while :; do :; done' || true; head -c 30000000 /dev/zero > /home/user/fat`,
  );
  const busy = await until('a busy sample', async () => {
    const metrics = await sandbox().getMetrics();
    return metrics.find(({ cpuUsedPct }) => cpuUsedPct > 30);
  });
  expect(busy.cpuUsedPct).toBeLessThan(101 * busy.cpuCount);
  const disk = async (): Promise<number> => (await sandbox().getMetrics()).at(-1)?.diskUsed ?? 0;
  await until('the file on the disk', async () => (await disk()) > 30_000_000);
});

test('a time range can be requested', async () => {
  await sleep(1500);
  const end = new Date();
  const start = new Date(end.getTime() - 2000);
  const metrics = await sandbox().getMetrics({ start, end });
  expect(metrics.length).toBeGreaterThan(0);
  for (const { timestamp } of metrics) {
    expect(timestamp.getTime()).toBeGreaterThanOrEqual(start.getTime() - 1000);
    expect(timestamp.getTime()).toBeLessThanOrEqual(end.getTime() + 1000);
  }
  expect(await sandbox().getMetrics({ start: new Date(1000), end: new Date(2000) })).toEqual([]);
});

test('the history has the same seconds with all figures, and minutes of them', async () => {
  await sandbox().commands.run('head -c 5000000 /dev/urandom > /home/user/written && sync /home/user/written');
  const ask = async (step: number): Promise<Record<string, number>[]> => {
    const { status, json } = await askApi('GET', `/sandboxes/${sandbox().sandboxId}/metrics/history?step=${step}`);
    expect(status).toBe(200);
    return (json as { points: Record<string, number>[] }).points;
  };
  const written = (points: Record<string, number>[]): number =>
    points.reduce((sum, { diskWrittenBytes = 0 }) => sum + diskWrittenBytes, 0);
  await until('the written bytes', async () => written(await ask(1)) >= 5_000_000);
  const [seconds, minutes] = [await ask(1), await ask(60)];
  expect(written(minutes)).toBeGreaterThanOrEqual(5_000_000);
  expect(minutes.length).toBeLessThan(seconds.length);
  const { memRss = 0, memTotal = 0, memSwap, memWorkingSetMax = 0, networkSentBytes } = seconds.at(-1) ?? {};
  expect(memRss).toBeGreaterThan(0);
  expect(memWorkingSetMax).toBeLessThan(memTotal);
  expect([typeof memSwap, typeof networkSentBytes]).toEqual(['number', 'number']);
});

test('programs report metrics in files and over ports', async () => {
  const path = `/sandboxes/${sandbox().sandboxId}/metrics/custom`;
  await sandbox().files.write('/run/soulbox/metrics/mine.prom', '# TYPE jobs counter\njobs{queue="a"} 7\nbad line\n');
  await sandbox().files.write('/home/user/www/metrics', 'served 1.5\n');
  await sandbox().commands.run('cd /home/user/www && exec python3 -m http.server 9100', { background: true });
  await sandbox().files.write('/run/soulbox/metrics/server.port', '9100');
  interface Answer {
    series: { name: string; points: { value: number }[] }[];
    faults: string[];
  }
  const { series, faults } = await until('both metrics', async () => {
    const answer = (await askApi('GET', path)).json as Answer;
    return answer.series.length === 2 && answer;
  });
  expect(series).toMatchObject([
    { name: 'jobs', type: 'counter', labels: { queue: 'a' }, points: [{ value: 7 }] },
    { name: 'served', points: [{ value: 1.5 }] },
  ]);
  expect(faults[0]).toBe('mine.prom: line 3: no valid value');
});

test('programs report metrics by StatsD', async () => {
  const path = `/sandboxes/${sandbox().sandboxId}/metrics/custom?name=sent_jobs`;
  await sandbox().files.write('/run/soulbox/metrics/app.statsd', '8125');
  // A read opens the port.
  await askApi('GET', path);
  await until('the counter', async () => {
    await sandbox().commands.run('bash -c \'echo "sent.jobs:2|c|#queue:a" > /dev/udp/127.0.0.1/8125\'');
    const { series } = (await askApi('GET', path)).json as { series: { type: string; labels: { queue: string } }[] };
    return series[0]?.type === 'counter' && series[0].labels.queue === 'a';
  });
});

test('one call returns the metrics of many sandboxes', async () => {
  const { status, json } = await askApi('GET', `/sandboxes/metrics?sandbox_ids=${sandbox().sandboxId},inobody`);
  expect(status).toBe(200);
  const { sandboxes } = json as { sandboxes: Record<string, { cpuCount: number }> };
  expect(Object.keys(sandboxes)).toEqual([sandbox().sandboxId]);
  const many = Array.from({ length: 101 }, (_, index) => `i${String(index)}`).join();
  expect((await askApi('GET', `/sandboxes/metrics?sandbox_ids=${many}`)).status).toBe(400);
});

test("Prometheus reads a team's sandboxes with its key, and the server with the operator's token", async () => {
  const token = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  for (const [secret, shown, hidden] of [
    [apiKey, sandbox().sandboxId, 'process_resident_memory_bytes'],
    [token, 'process_resident_memory_bytes', sandbox().sandboxId],
  ] as const) {
    const text = await (await fetch(`${apiUrl}/metrics`, { headers: { authorization: `Bearer ${secret}` } })).text();
    expect(text).toMatch(/^# TYPE soulbox_\w+ (?:gauge|counter|histogram)$/m);
    expect(text).toContain(shown);
    for (const other of [hidden, secret]) expect(text).not.toContain(other);
  }
  const figures = await (await fetch(`${apiUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text();
  for (const name of ['total', 'free', 'reserve', 'committed', 'told'])
    expect(figures).toMatch(new RegExp(`^soulbox_host_disk_${name}_bytes [1-9]\\d*$`, 'm'));
  expect(figures).toMatch(/^soulbox_host_sandboxes_stopped 0$/m);
  expect((await fetch(`${apiUrl}/metrics`)).status).toBe(401);
});

test('logs of both versions show the life of the sandbox', async () => {
  const v1 = await askApi('GET', `/sandboxes/${sandbox().sandboxId}/logs`);
  expect(v1.status).toBe(200);
  const { logs, logEntries } = v1.json as { logs: { line: string }[]; logEntries: { message: string }[] };
  expect(logs.length).toBeGreaterThan(0);
  for (const { line } of logs) {
    expect(JSON.parse(line)).toMatchObject({
      level: expect.any(String) as string,
      logger: expect.any(String) as string,
    });
  }
  expect(logEntries.some(({ message }) => /creat/i.test(message))).toBe(true);
  const v2 = await askApi('GET', `/v2/sandboxes/${sandbox().sandboxId}/logs?limit=1&direction=forward`);
  expect(v2.status).toBe(200);
  expect((v2.json as { logs: unknown[] }).logs).toHaveLength(1);
});

test('logs contain neither tokens nor the output of commands that nobody asked for', async () => {
  await sandbox().commands.run('echo very-private-output', { envs: { PRIVATE_KEY: 'very-private-value' } });
  const { json } = await askApi('GET', `/v2/sandboxes/${sandbox().sandboxId}/logs`);
  expect(JSON.stringify(json)).not.toContain('very-private');
});

test('output of commands is in the log of a sandbox whose create asked for it, and of its fork', async () => {
  const body = { templateID: 'base', timeout: 120, logOutput: true };
  const { sandboxID } = (await askApi('POST', '/v2/sandboxes', body)).json as { sandboxID: string };
  const made = await Sandbox.connect(sandboxID);
  await made.commands.run('echo first; echo second >&2; printf "\\033[2Jevil"');
  interface Entry {
    readonly message: string;
    readonly fields: { readonly process?: string; readonly stream?: string };
  }
  const outputOf = async (id: string): Promise<Entry[]> => {
    const { json } = await askApi('GET', `/v2/sandboxes/${id}/logs`);
    return (json as { logs: Entry[] }).logs.filter(({ fields }) => fields.stream !== undefined);
  };
  const entries = await outputOf(sandboxID);
  const said = (stream: string): string[] =>
    entries.filter(({ fields }) => fields.stream === stream).map(({ message }) => message);
  expect(said('stdout')).toEqual(['first', '·[2Jevil']);
  expect(said('stderr')).toEqual(['second']);
  expect(new Set(entries.map(({ fields }) => fields.process)).size).toBe(1);
  const forked = (await askApi('POST', `/sandboxes/${sandboxID}/fork`, { count: 1 })).json;
  const [{ sandbox: copy }] = forked as [{ sandbox: { sandboxID: string } }];
  await (await Sandbox.connect(copy.sandboxID)).commands.run('echo in the fork');
  expect((await outputOf(copy.sandboxID)).map(({ message }) => message)).toEqual(['in the fork']);
  for (const id of [sandboxID, copy.sandboxID]) await askApi('DELETE', `/sandboxes/${id}`);
});

test('a log and metrics can be followed through the gateway, until the sandbox ends', async () => {
  const made = await Sandbox.create('base', { timeoutMs: 120_000 });
  await made.files.write('/run/soulbox/metrics/mine.prom', 'jobs 7\n');
  const follow = async (path: string) => {
    const response = await fetch(`${apiUrl}${path}`, {
      headers: { 'x-api-key': apiKey, accept: 'application/x-ndjson' },
    });
    expect(response.status).toBe(200);
    let text = '';
    const ended = (async () => {
      const chunks = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
      for await (const chunk of chunks) text += chunk;
    })();
    return { has: (part: string) => text.includes(part), ended, text: () => text };
  };
  const log = await follow(`/v2/sandboxes/${made.sandboxId}/logs`);
  const metrics = await follow(`/sandboxes/${made.sandboxId}/metrics/history?custom=true`);
  const before = Date.now();
  await made.commands.run('sleep 0.01');
  await until('the entry', () => Promise.resolve(log.has('Process ended')));
  await until('a second and the custom metric', () =>
    Promise.resolve(metrics.has('{"point":') && metrics.has('"name":"jobs"')),
  );
  expect(Date.now() - before).toBeLessThan(10_000);
  await made.kill();
  await Promise.all([log.ended, metrics.ended]);
  for (const { text } of [log, metrics]) expect(text().endsWith('{"ended":true}\n')).toBe(true);
});
