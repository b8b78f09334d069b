import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { listHostInstances } from '@soulbox/box/host-instances';
import { findServer } from '@soulbox/box/server-file';
import { isThere, listHostTraces, testTemplatesDirectory } from '@soulbox/testing';
import { openTemplateStore } from '@soulbox/templates';
import { runCli, runCliAtTerminal } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';

const instance = 6;
const hasTemplate = isThere(
  'base template, which npm test makes',
  (await openTemplateStore(testTemplatesDirectory).find('base')) !== undefined,
);

const environment = { SOULBOX_TEMPLATES_DIR: testTemplatesDirectory, SOULBOX_POOL_SIZE: '1' };
const anyPorts = ['--port', '0', '--tls-port', '0', '--instance', String(instance)];
let directory: string;
let cli: (...args: string[]) => Promise<CliResult>;

beforeEach(async () => {
  await mkdir('/var/lib/soulbox-test', { recursive: true, mode: 0o700 });
  directory = await mkdtemp('/var/lib/soulbox-test/cli-server-');
  cli = async (...args) => await runCli([...args, '--data-dir', directory], environment);
});
afterEach(async () => {
  await cli('down');
  // A failed test may have left sandboxes of a dead server. The next server adopts and ends them.
  if ((await listHostTraces(instance, directory)).length > 0) {
    await cli('up', '--detach', ...anyPorts);
    await cli('down');
  }
  await removeTree(directory);
});

async function createSandbox(): Promise<Response> {
  const variables = JSON.parse((await cli('env', '--json')).stdout) as Record<string, string>;
  return await fetch(`${variables['E2B_API_URL'] ?? ''}/sandboxes`, {
    method: 'POST',
    headers: { 'x-api-key': variables['E2B_API_KEY'] ?? '', 'content-type': 'application/json' },
    body: JSON.stringify({ templateID: 'base', timeout: 300 }),
  });
}

/**
 * The paths in a data folder that others could read if they could enter it, as in a backup that keeps modes. Folders
 * that only their owner can enter are skipped. The runtime is for sandboxes, and ca.pem is for clients that must trust
 * it.
 */
async function listOpenPaths(folder: string, below = ''): Promise<string[]> {
  const open: string[] = [];
  for (const name of (await readdir(join(folder, below))).sort()) {
    const path = join(below, name);
    const { mode } = await stat(join(folder, path));
    if ((mode & 0o077) === 0) continue;
    open.push(path);
    if ((mode & 0o170_000) === 0o040_000 && path !== 'runtime') open.push(...(await listOpenPaths(folder, path)));
  }
  return open;
}

test('without a server, status exits with 3, down succeeds and env fails', async () => {
  expect(await cli('status')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('No server is running') as string,
  });
  expect(JSON.parse((await cli('status', '--json')).stdout)).toEqual({
    running: false,
    dataDirectory: directory,
    unmanagedSandboxes: [],
  });
  expect(JSON.parse((await cli('down', '--json')).stdout)).toEqual({
    stopped: false,
    keptSandboxes: false,
    unmanagedSandboxes: [],
  });
  expect(await cli('env')).toMatchObject({ code: 1, stdout: '' });
});

test('the file of a dead server is ignored', async () => {
  await mkdir(join(directory, 'run'));
  const client = {};
  const dead = {
    pid: process.pid,
    startTicks: 1,
    instance,
    host: '127.0.0.1',
    port: 1,
    tlsPort: 2,
    state: 'ready',
    client,
  };
  await writeFile(join(directory, 'run/server.json'), JSON.stringify(dead));
  expect((await cli('status')).code).toBe(3);
  expect((await cli('down')).stdout).toContain('No server is running');
});

test.skipIf(!hasTemplate)('a detached server serves, is found, refuses a second one, and leaves nothing', async () => {
  const started = await cli('up', '--detach', ...anyPorts);
  expect(started).toMatchObject({ code: 0, stderr: '' });
  expect(started.stdout).toMatch(/^export E2B_API_URL=http:\/\/127\.0\.0\.1:\d+$/m);

  const log = await readFile(join(directory, 'logs/server.log'), 'utf8');
  expect(log).toContain('server ready');
  expect(log).not.toMatch(/e2b_[0-9a-f]{40}/);

  const status = JSON.parse((await cli('status', '--json')).stdout) as { port: number };
  expect(status).toMatchObject({ running: true, state: 'ready', instance, sandboxes: 0 });
  expect((await cli('status')).stdout).toContain('is ready');

  const variables = JSON.parse((await cli('env', '--json', '--tls')).stdout) as Record<string, string>;
  expect(Object.keys(variables).sort()).toEqual([
    ...['E2B_ACCESS_TOKEN', 'E2B_API_KEY', 'E2B_DOMAIN'],
    ...['NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'],
  ]);
  expect(variables['E2B_ACCESS_TOKEN']).toBe(variables['E2B_API_KEY']);
  const shell = 'eval "$1"; echo "$E2B_API_URL $E2B_DOMAIN $E2B_API_KEY"';
  const plain = await run('sh', ['-c', shell, 'sh', (await cli('env')).stdout]);
  expect(plain).toMatch(new RegExp(`^http://127.0.0.1:${status.port} soulbox.localhost:\\d+ e2b_[0-9a-f]{40}\n$`));
  const tls = await run('sh', ['-c', shell, 'sh', `export E2B_API_URL=old\n${(await cli('env', '--tls')).stdout}`]);
  expect(tls).toMatch(/^ soulbox\.localhost:\d+ e2b_[0-9a-f]{40}\n$/);

  const second = await cli('up', '--detach', ...anyPorts);
  expect(second).toMatchObject({ code: 1, stdout: '' });
  expect(second.stderr).toContain('already uses');

  expect((await createSandbox()).status).toBe(201);
  expect(JSON.parse((await cli('status', '--json')).stdout)).toMatchObject({ sandboxes: 1 });
  expect(await listOpenPaths(directory)).toEqual(['runtime', 'tls', 'tls/ca.pem']);
  expect((await cli('down')).stdout).toMatch(/^Server \d+ stopped\.\n$/);
  expect((await cli('status')).code).toBe(3);
  expect(await listHostTraces(instance, directory)).toEqual([]);
  // Its control groups and its folder in /run are gone too.
  expect((await listHostInstances()).filter((entry) => entry.instance === instance)).toEqual([]);
});

test.skipIf(!hasTemplate)(
  'a detached start prints the default key only to a terminal, and soulbox env prints it always',
  { tags: ['long'] },
  async () => {
    const key = /e2b_[0-9a-f]{40}/;
    const up = ['up', '--detach', ...anyPorts, '--data-dir', directory];
    for (const form of [[], ['--json']]) {
      const started = await runCli([...up, ...form], environment);
      expect([started.code, started.stdout]).toEqual([0, expect.stringContaining('E2B_API_URL')]);
      expect(started.stdout).not.toMatch(key);
      expect((await cli('env')).stdout).toMatch(key);
      await cli('down');
    }
    const shown = await runCliAtTerminal(up, environment);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringMatching(key) as string });
  },
);

test.skipIf(!hasTemplate)('down --keep-sandboxes leaves them to the next server', { tags: ['long'] }, async () => {
  await cli('up', '--detach', ...anyPorts);
  const created = (await (await createSandbox()).json()) as { sandboxID: string };
  const stopped = await cli('down', '--keep-sandboxes', '--json');
  expect(JSON.parse(stopped.stdout)).toEqual({ stopped: true, keptSandboxes: true, unmanagedSandboxes: [] });
  expect(await listHostTraces(instance, directory)).not.toEqual([]);
  const refused = await cli('uninstall', '--dry-run');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/(?:still run|Servers run)/) as string });

  await cli('up', '--detach', ...anyPorts);
  const variables = JSON.parse((await cli('env', '--json')).stdout) as Record<string, string>;
  const info = await fetch(`${variables['E2B_API_URL'] ?? ''}/sandboxes/${created.sandboxID}`, {
    headers: { 'x-api-key': variables['E2B_API_KEY'] ?? '' },
  });
  expect(info.status).toBe(200);
  await cli('down');
  expect(await listHostTraces(instance, directory)).toEqual([]);
});

test.skipIf(!hasTemplate)(
  'a key created beside a running server is valid at once, a revoked one is not',
  { tags: ['long'] },
  async () => {
    await cli('up', '--detach', ...anyPorts);
    const key = (await cli('key', 'create', 'ci')).stdout.trim();
    const url = (await findServer(directory))?.client['E2B_API_URL'] ?? '';
    const ask = async (): Promise<number> =>
      (await fetch(`${url}/v2/sandboxes`, { headers: { 'x-api-key': key } })).status;
    expect(await ask()).toBe(200);
    await cli('key', 'revoke', 'ci');
    expect(await ask()).toBe(401);
  },
);

test.skipIf(!hasTemplate)('an invalid setting is reported before anything is started', async () => {
  const odd = await runCli(['up', '--detach', ...anyPorts, '--data-dir', directory], {
    ...environment,
    SOULBOX_NO_SUCH_THING: '1',
    SOULBOX_POOL_SIZE: 'many',
  });
  expect(odd.code).toBe(1);
  expect(odd.stderr).toContain('SOULBOX_NO_SUCH_THING');
  expect((await cli('status')).code).toBe(3);
});

test.skipIf(!hasTemplate)(
  'an insecure exposure of the server is reported at the start, in the log and by doctor',
  { tags: ['long'] },
  async () => {
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const subject = ['-subj', '/CN=box.example', '-days', '1', '-out', cert, '-keyout', key];
    await run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-noenc',
      ...subject,
    ]);
    const settings = { ...environment, SOULBOX_TLS_CERT: cert, SOULBOX_TLS_KEY: key };
    const up = ['up', '--detach', ...anyPorts, '--host', '0.0.0.0', '--data-dir', directory];
    const { code, stderr } = await runCli(up, settings);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Warning: plain HTTP on 0\.0\.0\.0 .*\nWarning: the TLS certificate expires on .*\n$/);
    const log = await readFile(join(directory, 'logs/server.log'), 'utf8');
    expect(log.match(/"level":40.*"exposure":"(?:plain HTTP|the TLS certificate)/g)).toHaveLength(2);
    // The settings belong to the server; doctor runs without them.
    const { findings } = JSON.parse((await cli('doctor', '--json')).stdout) as {
      findings: { id: string; detail: string }[];
    };
    const told = findings.filter(({ id }) => id === 'exposure').map(({ detail }) => detail);
    expect(told).toEqual([
      expect.stringMatching(/^plain HTTP on 0\.0\.0\.0:\d+ /),
      expect.stringContaining('certificate expires'),
    ]);
  },
);

test.skipIf(!hasTemplate)('a server in the foreground outlives the reader of its first lines', async () => {
  const command = `("$0" "$1" up ${anyPorts.join(' ')} --data-dir "$2" 2>&1 &) | head -n 1`;
  const args = ['-c', command, process.execPath, join(import.meta.dirname, '../../main.ts'), directory];
  expect(await run('bash', args, { env: { ...environment, PATH: process.env['PATH'] } })).toContain('recovered');
  await expect.poll(async () => (await findServer(directory))?.state, { timeout: 30_000 }).toBe('ready');
  const url = (await findServer(directory))?.client['E2B_API_URL'] ?? '';
  for (let request = 0; request < 3; request += 1) expect((await fetch(`${url}/v2/sandboxes`)).status).toBe(401);
  expect(await findServer(directory)).toBeDefined();
});

test.skipIf(!hasTemplate)(
  'the log goes to the given file, SIGHUP reopens it, and it grows up to its limit',
  { tags: ['long'] },
  async () => {
    const logFile = join(directory, 'elsewhere', 'box.log');
    const settings = { ...environment, SOULBOX_LOG_MAX_MB: '1', SOULBOX_LOG_FILES: '1' };
    const up = ['up', '--detach', ...anyPorts, '--data-dir', directory, '--log-file', logFile];
    expect(await runCli(up, settings)).toMatchObject({ code: 0 });
    expect(await readFile(logFile, 'utf8')).toContain('server ready');
    await rename(logFile, `${logFile}.moved`);
    const { pid = 0, client } = (await findServer(directory)) ?? {};
    process.kill(pid, 'SIGHUP');
    await expect.poll(async () => await readFile(logFile, 'utf8').catch(() => '')).toContain('log reopened');
    expect((await findServer(directory))?.pid).toBe(pid);

    const url = client?.['E2B_API_URL'] ?? '';
    const ask = async (): Promise<unknown> => await (await fetch(`${url}/v2/sandboxes`)).text();
    const isTurned = async (): Promise<boolean> => (await readdir(join(directory, 'elsewhere'))).includes('box.log.1');
    for (let round = 0; round < 400 && !(await isTurned()); round += 1)
      await Promise.all(Array.from({ length: 50 }, ask));
    expect((await readdir(join(directory, 'elsewhere'))).sort()).toEqual(['box.log', 'box.log.1', 'box.log.moved']);
    expect((await stat(`${logFile}.1`)).size).toBeLessThan(1.2 * 2 ** 20);
  },
);

/** Starts a server on a port that is already in use. */
async function startOnTakenPort(): Promise<{ port: number; result: CliResult }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const ports = ['--port', String(port), '--tls-port', '0', '--instance', String(instance)];
    return { port, result: await cli('up', '--detach', ...ports) };
  } finally {
    server.close();
  }
}

test.skipIf(!hasTemplate)('a port in use is an error with a reason', async () => {
  const { port, result } = await startOnTakenPort();
  expect(result.code).toBe(1);
  expect(result.stderr).toContain(String(port));
  expect(await readFile(join(directory, 'logs/server.log'), 'utf8')).not.toMatch(/^\s+at /m);
  expect((await cli('status')).code).toBe(3);
});

test.runIf(hasTemplate)('a start that fails on a port in use leaves no sandbox behind', async () => {
  await startOnTakenPort();
  expect(await listHostTraces(instance, directory)).toEqual([]);
});
