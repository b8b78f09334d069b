import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readlink, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiKey, ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import { findFreePort, listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { userOf } from '@soulbox/process';
import { removeTree } from '@soulbox/base';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pidOfPart } from '../harness/pid-of-part.ts';
import type { Part } from '../harness/pid-of-part.ts';
import { until } from '../harness/until.ts';

const instance = 6;
const waitMs = 30_000;
let server: ServerProcess;
let sshPort: number;
let connection: { readonly apiUrl: string; readonly sandboxUrl: string; readonly apiKey: string };
beforeAll(async () => {
  sshPort = await findFreePort();
  server = await startServer({ instance, poolSize: 1, environment: { SOULBOX_SSH_PORT: String(sshPort) } });
  const {
    E2B_API_URL: apiUrl = '',
    E2B_SANDBOX_URL: sandboxUrl = '',
    E2B_API_KEY: apiKey = '',
  } = server.clientEnvironment;
  connection = { apiUrl, sandboxUrl, apiKey };
}, 120_000);
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

const pidOf = async (part: Part): Promise<number | undefined> => await pidOfPart(server, part);

async function kill(part: Part): Promise<void> {
  const pid = await pidOf(part);
  if (pid === undefined) throw new Error(`There is no ${part}.`);
  process.kill(pid, 'SIGKILL');
}

async function ask(method: string, path: string, body?: object): Promise<number> {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  try {
    const options = { method, headers, signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(url + path, body === undefined ? options : { ...options, body: JSON.stringify(body) });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0;
  }
}

/** Runs a command in a sandbox that prints a number every 50 ms, and collects the numbers until `stop`. */
async function count(sandbox: Sandbox): Promise<{ numbers: number[]; stop: () => Promise<void> }> {
  const numbers: number[] = [];
  const handle = await sandbox.commands.run('i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done', {
    background: true,
    timeoutMs: 0,
    onStdout: (data) => void numbers.push(...data.split('\n').filter(Boolean).map(Number)),
  });
  return {
    numbers,
    stop: async () => {
      await handle.kill();
    },
  };
}

const isGapless = (numbers: readonly number[]): boolean => numbers.every((number, index) => number === index + 1);

test('a killed control plane is restarted; streams of sandboxes continue and no sandbox is lost', async () => {
  const sandbox = await Sandbox.create('base', connection);
  const counting = await count(sandbox);
  await until('output', () => counting.numbers.length > 3, waitMs);
  const creates = Array.from({ length: 4 }, async () => await ask('POST', '/v2/sandboxes', { templateID: 'base' }));
  await sleep(100);
  const before = await pidOf('control');
  await kill('control');
  const killedAt = performance.now();
  const statuses: number[] = [];
  await until(
    'an answer',
    async () => {
      statuses.push(await ask('GET', '/v2/sandboxes'));
      return statuses.at(-1) === 200;
    },
    waitMs,
  );
  console.log(`control was back after ${Math.round(performance.now() - killedAt)} ms`);
  expect(await pidOf('control')).not.toBe(before);
  // 502: it had already received the request. 503: it was not running.
  for (const status of statuses.slice(0, -1)) expect([502, 503]).toContain(status);
  for (const status of await Promise.all(creates)) expect([201, 502, 503]).toContain(status);
  const seen = counting.numbers.length;
  await until('more output', () => counting.numbers.length > seen + 5, waitMs);
  expect(isGapless(counting.numbers)).toBe(true);
  // Sandboxes whose creators got no response exist too, and their team finds them in the list.
  await until(
    'the sandbox',
    async () => (await Sandbox.list(connection).nextItems()).some(({ sandboxId }) => sandboxId === sandbox.sandboxId),
    waitMs,
  );
  expect((await sandbox.commands.run('echo here')).stdout).toBe('here\n');
  await counting.stop();
  for (const { sandboxId } of await Sandbox.list(connection).nextItems()) await Sandbox.kill(sandboxId, connection);
});

test('creates with an idempotency key that are repeated over kills of the control plane make one sandbox each', async () => {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
  const create = async (name: string): Promise<string | undefined> => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json', 'idempotency-key': name };
    const body = JSON.stringify({ templateID: 'base', metadata: { name } });
    const options = { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(`${url}/v2/sandboxes`, options).catch(() => undefined);
    if (answer === undefined) return undefined;
    expect([201, 409, 500, 502, 503]).toContain(answer.status);
    const json = (await answer.json().catch(() => undefined)) as { sandboxID?: string } | undefined;
    return answer.status === 201 ? json?.sandboxID : undefined;
  };
  const made = new Set<string>();
  // At other moments of the create each time: before the runner is called, meanwhile, and before the response.
  for (const waitBeforeMs of [2, 10, 25, 60]) {
    const names = ['a', 'b', 'c'].map((letter) => `${letter}-${waitBeforeMs}`);
    const first = names.map(async (name) => await create(name));
    await sleep(waitBeforeMs);
    await kill('control');
    const early = await Promise.all(first);
    for (const [index, name] of names.entries()) {
      const id = await until('the repetition', async () => await create(name), waitMs);
      made.add(id);
      if (early[index] !== undefined) expect(id).toBe(early[index]);
    }
  }
  expect(made.size).toBe(12);
  const listed = await Sandbox.list(connection).nextItems();
  expect(new Set(listed.map(({ sandboxId }) => sandboxId))).toEqual(made);
  for (const { sandboxId } of listed) await Sandbox.kill(sandboxId, connection);
}, 120_000);

test('without the runner the API lists its records and returns 503 otherwise; with the runner everything works again', async () => {
  const sandbox = await Sandbox.create('base', connection);
  const counting = await count(sandbox);
  await until('output', () => counting.numbers.length > 3, waitMs);
  const control = await pidOf('control');
  await kill('runner');
  const killedAt = performance.now();
  expect(await ask('GET', '/health')).toBe(204);
  expect(await ask('GET', '/v2/sandboxes')).toBe(200);
  const statuses: number[] = [];
  await until(
    'an answer',
    async () => {
      statuses.push(await ask('POST', '/v2/sandboxes', { templateID: 'base' }));
      return statuses.at(-1) === 201;
    },
    waitMs,
  );
  console.log(`creates worked again after ${Math.round(performance.now() - killedAt)} ms`);
  for (const status of statuses.slice(0, -1)) expect(status).toBe(503);
  const seen = counting.numbers.length;
  await until('more output', () => counting.numbers.length > seen + 5, waitMs);
  expect(isGapless(counting.numbers)).toBe(true);
  expect((await sandbox.commands.run('echo here')).stdout).toBe('here\n');
  expect(await pidOf('control')).toBe(control);
  await counting.stop();
  expect(await sandbox.kill()).toBe(true);
});

/**
 * Calls a method over a socket as another user of the host, with a frame of its own (spec/rpc.md). Returns `answered`,
 * the code of the error, or the error of the connection.
 */
async function callAs(user: { uid: number; gid: number }, socket: string, method: string): Promise<string> {
  const script = `
    const say = (text) => { console.log(text); process.exit(); };
    const [path, method] = process.argv.slice(1);
    const socket = require('node:net').connect(path);
    socket.on('error', (error) => say(error.code));
    socket.on('close', () => say('closed'));
    const [call, callee] = [Buffer.alloc(15), { answer: 3, error: 5 }];
    call.writeUInt32LE(11 + method.length, 0);
    call.writeUInt8(1, 4);
    call.writeUInt16LE(method.length, 13);
    socket.write(Buffer.concat([call, Buffer.from(method)]));
    socket.once('data', (frame) => {
      if (frame[4] === callee.answer) say('answered');
      if (frame[4] === callee.error) say(JSON.parse(frame.subarray(9)).error.code);
    });`;
  const child = spawn(process.execPath, ['-e', script, socket, method], { ...user, cwd: '/' });
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return said.trim();
}

test('a killed SSH process is restarted with its port and its host key, and nothing else notices', async () => {
  // Prints the host key, or nothing when no server answers.
  const scan = async (): Promise<string> => {
    const child = spawn('ssh-keyscan', ['-T', '5', '-p', String(sshPort), '127.0.0.1'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return (await text(child.stdout)).trim();
  };
  const key = await scan();
  expect(key).toContain('ssh-ed25519');
  const others = async () => await Promise.all((['control', 'egress', 'gateway', 'runner'] as const).map(pidOf));
  const before = await others();
  await kill('ssh');
  await until('the SSH process answers again', async () => (await scan()) === key, waitMs);
  expect(await others()).toEqual(before);
});

test('the runner answers only the users of gateway and control, and each one only its own calls', async () => {
  const [gateway, control] = [userOf(instance, 'gateway'), userOf(instance, 'control')];
  const socket = `/run/soulbox-${instance}/gateway/runner.sock`;
  const list = '/soulbox.runner.v1.RunnerService/ListSandboxes';
  const position = '/soulbox.runner.v1.RoutingService/GetRoutesPosition';
  expect(await callAs({ uid: gateway, gid: gateway }, socket, position)).toBe('answered');
  expect(await callAs({ uid: gateway, gid: gateway }, socket, list)).toBe('unimplemented');
  expect(await callAs({ uid: control, gid: gateway }, socket, list)).toBe('answered');
  expect(await callAs({ uid: 12345, gid: 12345 }, socket, position)).toBe('EACCES');
  // Root and the group can pass the folder. The kernel tells the runner which user is calling.
  for (const user of [
    { uid: 0, gid: 0 },
    { uid: 12345, gid: gateway },
  ])
    expect(await callAs(user, socket, position)).toMatch(/^(?:closed|EPIPE|ECONNRESET)$/);
});

test('the control plane runs as its own user without privileges and sees only its part of the data folder', async () => {
  const pid = (await pidOf('control')) ?? 0;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [user, group] = [userOf(instance, 'control'), userOf(instance, 'gateway')];
  for (const line of [
    ...[`Uid:\t${user}\t${user}\t${user}\t${user}`, `Groups:\t${group} `, 'NoNewPrivs:\t1', 'Seccomp:\t2'],
    ...['CapPrm:\t0000000000000000', 'CapEff:\t0000000000000000', 'CapBnd:\t0000000000000000'],
  ])
    expect(status).toContain(line);
  const { dataDirectory } = server;
  expect((await stat(`${dataDirectory}/control/records.sqlite`)).uid).toBe(user);
  for (const name of ['sandboxes', 'snapshots', 'states', 'layers', 'runtime', 'tls'])
    expect((await stat(`${dataDirectory}/${name}`)).uid, name).toBe(0);
  // A command of the host creates a key at the same time: the control plane reads what root has written.
  await using records = openSqliteRecords(`${dataDirectory}/records.sqlite`);
  await createApiKey(records, await ensureDefaultTeam(records), 'beside');
  expect(await ask('POST', '/api-keys', { name: 'after' })).toBe(201);
});

test('each process of the server has its own metrics', async () => {
  const token = (await readFile(`${server.dataDirectory}/secrets/metrics-token`, 'utf8')).trim();
  const { E2B_API_URL: url = '' } = server.clientEnvironment;
  const read = async (): Promise<string> =>
    await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text();
  const all = ['control', 'runner', 'supervisor', 'gateway', 'egress', 'ssh'];
  const namesOf = (page: string): (string | undefined)[] =>
    [...page.matchAll(/^process_open_fds\{process="(\w+)"\} [1-9]\d*$/gm)].map((match) => match[1]);
  // The supervisor reports its own figures, and those of the processes without a line to the API, every 10 s.
  await expect.poll(async () => namesOf(await read()), { timeout: 25_000, interval: 500 }).toEqual(all);
  const page = await read();
  expect(new Set(page.match(/^process_start_time_seconds\{.*$/gm)).size).toBe(6);
  expect(Number(/^process_resident_memory_bytes\{process="gateway"\} (\d+)$/m.exec(page)?.[1])).toBeGreaterThan(2e7);
  expect(Number(/^soulbox_process_restarts_total\{process="control"\} (\d+)$/m.exec(page)?.[1])).toBeGreaterThan(0);
});

test('ps shows the program of each process', async () => {
  const program = await readlink(`/proc/${server.pid}/exe`);
  for (const part of ['control', 'egress', 'gateway', 'runner'] as const) {
    const pid = await pidOf(part);
    expect(await readlink(`/proc/${pid ?? 0}/exe`), part).toBe(program);
  }
});
