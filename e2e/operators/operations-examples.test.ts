import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { findFreePort, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { ownInstance } from '../harness/own-instance.ts';

// Runs the examples of docs/operations.md that are meant for other programs. The Debian packages of these programs are
// unpacked into a folder of the test, so nothing is installed or started on the host.
const packages = ['nginx', 'prometheus', 'promtool', 'systemd', 'libsystemd-shared'];
const exampleDomain = 'sandboxes.example';
const domain = 'sandboxes.localhost';

let scratch: string;
let programs: string;
let page: string;
let server: ServerProcess;
let proxyPort: number;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'soulbox-examples-'));
  programs = join(scratch, 'programs');
  await mkdir(programs);
  await unpack();
  page = await readFile(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  proxyPort = await findFreePort();
  const variables = [...page.matchAll(/`(SOULBOX_[A-Z_]+)=([^`]*)`/g)].map(([, name = '', value = '']) => [
    name,
    value.replaceAll(exampleDomain, `${domain}:${proxyPort}`),
  ]);
  const environment = { ...Object.fromEntries(variables), SOULBOX_DOMAIN: domain } as Record<string, string>;
  server = await startServer({ instance: ownInstance(), poolSize: 1, environment });
}, 240_000);
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
  await removeTree(scratch);
});

test('the official client works through nginx with the example configuration', async () => {
  const certificate = await makeCertificate();
  const example = block('nginx')
    .replace('listen 443', `listen 127.0.0.1:${proxyPort}`)
    .replace('/etc/ssl/sandboxes.example.pem', certificate.file)
    .replace('/etc/ssl/sandboxes.example.key', certificate.keyFile)
    .replace(':3000', `:${server.port}`)
    .replaceAll(exampleDomain, domain);
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(scratch, name)};`,
  );
  const config = `daemon off; user root; pid ${scratch}/nginx.pid; error_log stderr; events {}\nhttp { access_log off; ${folders.join(' ')}\n${example}}\n`;
  await writeFile(join(scratch, 'nginx.conf'), config);
  await using _nginx = await start('usr/sbin/nginx', ['-c', join(scratch, 'nginx.conf')]);
  const { code, stdout, stderr } = await runNode([join(import.meta.dirname, '../fixtures/tls-client.mjs')], {
    E2B_API_KEY: server.clientEnvironment['E2B_API_KEY'] ?? '',
    E2B_DOMAIN: `${domain}:${proxyPort}`,
    NODE_EXTRA_CA_CERTS: certificate.file,
  });
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    stdout: 'over TLS\n',
    file: 'written over TLS',
    service: 200,
    signed: 'written over TLS',
    parallel: true,
    killed: true,
    afterKill: true,
    gone: 502,
  });
}, 120_000);

const alertsFile = join(import.meta.dirname, '../../deploy/prometheus/soulbox-alerts.yml');

test('Prometheus accepts the alerts and the expressions of the dashboard, and a sick server sets off each alert', async () => {
  const token = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  await copyFile(alertsFile, join(scratch, 'alerts.yml'));
  await writeFile(join(scratch, 'dashboard.yml'), JSON.stringify(await rulesOfDashboard()));
  await using sick = await startSickServer();
  const healthy = `127.0.0.1:${server.port}`;
  const config = {
    global: { evaluation_interval: '1s' },
    rule_files: ['alerts.yml', 'dashboard.yml'],
    scrape_configs: [
      {
        job_name: 'soulbox',
        scrape_interval: '1s',
        authorization: { credentials: token },
        static_configs: [{ targets: [healthy, sick.address, `127.0.0.1:${await findFreePort()}`] }],
      },
    ],
  };
  await writeFile(join(scratch, 'prometheus.yml'), JSON.stringify(config));
  const port = await findFreePort();
  await using _prometheus = await start('usr/bin/prometheus', [
    `--config.file=${join(scratch, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(scratch, 'series')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=error',
  ]);
  const ask = async (path: string): Promise<unknown> => await (await fetch(`http://127.0.0.1:${port}${path}`)).json();
  interface Rules {
    readonly data: { readonly groups: { readonly rules: { readonly name: string; readonly type: string }[] }[] };
  }
  interface Alerts {
    readonly data: {
      readonly alerts: { readonly labels: { readonly alertname: string; readonly instance: string } }[];
    };
  }
  const isReady = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
  await expect.poll(async () => await isReady().catch(() => false), { timeout: 20_000 }).toBe(true);
  const rules = ((await ask('/api/v1/rules')) as Rules).data.groups.flatMap((group) => group.rules);
  expect(rules.filter(({ type }) => type === 'recording').length).toBeGreaterThan(20);
  const names = rules.filter(({ type }) => type === 'alerting').map(({ name }) => name);
  expect(names.length).toBeGreaterThan(10);
  // With `for`, an alert is pending first.
  const active = async (): Promise<readonly { alertname: string; instance: string }[]> =>
    ((await ask('/api/v1/alerts')) as Alerts).data.alerts.map(({ labels }) => labels);
  const setOff = async (): Promise<string[]> =>
    [
      ...new Set((await active()).filter(({ instance }) => instance !== healthy).map(({ alertname }) => alertname)),
    ].sort();
  await expect.poll(setOff, { timeout: 40_000, interval: 500 }).toEqual(names.toSorted());
  // Others may be pending for a moment on a busy host.
  const forHealthy = (await active()).filter(({ instance }) => instance === healthy).map(({ alertname }) => alertname);
  for (const name of ['SoulBoxDown', 'DiskFull', 'SandboxesFrozen', 'Descriptors'])
    expect(forHealthy).not.toContain(name);
}, 90_000);

test('promtool accepts the alerts, and the metrics of the operator and of a team', async () => {
  const promtool = join(programs, 'usr/bin/promtool');
  await run(promtool, ['check', 'rules', alertsFile]);
  const operator = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  const team = server.clientEnvironment['E2B_API_KEY'] ?? '';
  for (const secret of [operator, team]) {
    const headers = { authorization: `Bearer ${secret}` };
    const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`, { headers })).text();
    await writeFile(join(scratch, 'metrics.txt'), text);
    // It also fails for names and texts that do not follow the conventions of Prometheus.
    await run('sh', ['-c', '"$1" check metrics < "$2"', 'sh', promtool, join(scratch, 'metrics.txt')]);
  }
}, 30_000);

/** Metrics of a server in which everything goes wrong. Counters grow with each request. */
async function startSickServer(): Promise<AsyncDisposable & { readonly address: string }> {
  let requests = 0;
  const sick = createServer((_request, response) => {
    requests += 1;
    response.end(
      [
        'soulbox_disk_full 1',
        `soulbox_disk_room_bytes ${1e12 - requests * 1e9}`,
        'soulbox_host_sandboxes_stopped 2',
        `soulbox_sandbox_start_failures_total ${requests}`,
        'soulbox_pool_waiting 3',
        `soulbox_operation_phase_seconds_bucket{operation="create",phase="total",le="1"} 0`,
        `soulbox_operation_phase_seconds_bucket{operation="create",phase="total",le="10"} ${requests}`,
        `soulbox_operation_phase_seconds_bucket{operation="create",phase="total",le="+Inf"} ${requests}`,
        `soulbox_request_failures_total{reason="internal"} ${requests}`,
        'process_open_fds{process="gateway"} 900',
        'process_max_fds{process="gateway"} 1000',
        'nodejs_eventloop_lag_p99_seconds{process="control"} 0.9',
        `soulbox_process_restarts_total{process="runner"} ${requests * 2}`,
        `soulbox_log_lines_dropped_total{process="runner"} ${requests}`,
        '',
      ].join('\n'),
    );
  });
  sick.listen(0, '127.0.0.1');
  await once(sick, 'listening');
  return {
    address: `127.0.0.1:${(sick.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      sick.closeAllConnections();
      await new Promise<void>((resolve) => sick.close(() => resolve()));
    },
  };
}

test('systemd accepts the example unit', async () => {
  const program = join(scratch, 'soulbox');
  await writeFile(program, '#!/bin/sh\n', { mode: 0o755 });
  const unit = join(scratch, 'soulbox.service');
  await writeFile(unit, block('ini').replaceAll('/usr/local/bin/soulbox', program));
  const verify = ['verify', '--man=no', '--recursive-errors=no', unit];
  const env = { ...process.env, LD_LIBRARY_PATH: join(programs, 'usr/lib/x86_64-linux-gnu/systemd') };
  // Its status reports errors of this file only: the targets of the host do not exist without a running systemd.
  await run(join(programs, 'usr/bin/systemd-analyze'), verify, { env });
});

/** Prometheus does not start if an expression is not valid. */
async function rulesOfDashboard(): Promise<object> {
  const text = await readFile(join(import.meta.dirname, '../../deploy/grafana/soulbox-server.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: { targets?: { expr: string }[] }[] };
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  return { groups: [{ name: 'dashboard', rules: expressions.map((expr, n) => ({ record: `panel:${n}`, expr })) }] };
}

/** The first block of that language on the page. */
function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/operations.md has no block of ${language}`);
  return found;
}

async function unpack(): Promise<void> {
  const cwd = join(scratch, 'packages');
  await mkdir(cwd);
  await run('apt-get', ['update', '-qq'], { timeoutMs: 100_000 });
  // As root, because apt's own user cannot write here.
  await run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', ...packages], { cwd, timeoutMs: 200_000 });
  for (const name of packages) {
    const files = (await run('find', [cwd, '-name', `${name}_*.deb`])).trim().split('\n');
    await run('dpkg-deb', ['-x', files[0] ?? '', programs]);
  }
}

async function makeCertificate(): Promise<{ file: string; keyFile: string }> {
  const file = join(scratch, 'certificate.pem');
  const keyFile = join(scratch, 'key.pem');
  const names = `subjectAltName=DNS:${domain},DNS:*.${domain}`;
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await run('openssl', [...request, '-subj', `/CN=${domain}`, '-addext', names, '-keyout', keyFile, '-out', file]);
  return { file, keyFile };
}

async function start(path: string, args: readonly string[]): Promise<AsyncDisposable> {
  const child = spawn(join(programs, path), args, { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'] });
  await once(child, 'spawn');
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
