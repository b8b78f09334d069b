import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Secret } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import { openAuditSigningKey } from '@soulbox/audit';
import type { Keyring } from '@soulbox/keyring';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { createApiKey, ensureDefaultTeam, openDiskBlobs, openDiskReserve, openSqliteRecords } from '@soulbox/storage';
import type { BlobStore, Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiConfigSchema, startApi } from './index.ts';
import type { Api } from './index.ts';
import { createScriptedRunner } from './testing/scripted-runner.ts';
import type { ScriptedRunner } from './testing/scripted-runner.ts';

let folder: string;
let socketPath: string;
let records: Records;
let keyring: Keyring;
let files: BlobStore;
let runner: ScriptedRunner;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-start-'));
  socketPath = join(folder, 'api.sock');
  newRecordsFile(join(folder, 'records.sqlite'));
  records = openSqliteRecords(join(folder, 'records.sqlite'));
  keyring = await openTestKeyring(records);
  files = await openDiskBlobs({ directory: join(folder, 'uploads') });
  runner = createScriptedRunner();
});
afterEach(async () => {
  await records[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const start = async (listen: Parameters<typeof startApi>[0]['listen'] = { socketPath }): Promise<Api> => {
  const config = loadConfig(apiConfigSchema, {});
  const reserve = openDiskReserve(join(folder, 'reserve'));
  const outside = createOutsidePolicy();
  const metricsToken = new Secret('metrics');
  const adminToken = new Secret('admin');
  const signingRoot = new Secret('signing');
  const audit = { signingKey: await openAuditSigningKey(folder), directory: join(folder, 'audit') };
  const parts = {
    config,
    audit,
    records,
    keyring,
    runner: runner.client,
    files,
    fileKeys: { keyOf: () => new Uint8Array(32), mayBeReadable: false },
    reserve,
    outside,
    metricsToken,
    signingRoot,
    adminToken,
  };
  return await startApi({ ...parts, listen, logger: silentLogger });
};

async function ask(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<number> {
  const asked = request({ socketPath, method, path, headers });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
  answer.resume();
  return answer.statusCode;
}

describe('starting the API', () => {
  it('listens on a unix socket that only its owner may use, and removes it at the end', async () => {
    const api = await start();
    expect(api.address).toBe(socketPath);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    expect(await ask('GET', '/health')).toBe(204);
    await api[Symbol.asyncDispose]();
    await expect(stat(socketPath)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('replaces the socket that a killed server left behind', async () => {
    const program = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await stat(socketPath);
    await using api = await start();
    expect(api.address).toBe(socketPath);
    expect(await ask('GET', '/health')).toBe(204);
  });

  it('refuses to listen at the path of an ordinary file and leaves the file unchanged', async () => {
    await writeFile(socketPath, 'precious');
    await expect(start()).rejects.toMatchObject({ reason: 'host_not_ready' });
    expect((await stat(socketPath)).size).toBe(8);
    expect(runner.watchers()).toBe(0);
  });

  it('names the address that is in use', async () => {
    await using first = await start({ host: '127.0.0.1', port: 0 });
    const port = Number(new URL(first.address).port);
    await expect(start({ host: '127.0.0.1', port })).rejects.toThrow(`127.0.0.1:${port}`);
  });

  it('lets a create finish when it stops, and refuses new requests', async () => {
    const { key } = await createApiKey(records, await ensureDefaultTeam(records), 'k');
    let proceed = (): void => undefined;
    runner.beforeCreate = () =>
      new Promise((resolve) => {
        proceed = resolve;
      });
    const api = await start();
    const body = '{"templateID":"base"}';
    const headers = { 'x-api-key': key.reveal(), 'content-type': 'application/json' };
    const creating = ask('POST', '/v2/sandboxes', headers, body);
    while (runner.creates.length === 0) await sleep(5);
    const stopping = api[Symbol.asyncDispose]();
    await expect(ask('GET', '/health')).rejects.toThrow();
    proceed();
    const finishedAt = Date.now();
    expect(await creating).toBe(201);
    await stopping;
    expect(Date.now() - finishedAt).toBeLessThan(1000);
    expect(await records.sandboxes.listLive()).toHaveLength(1);
  });

  it('ends within seconds when a create never finishes, and the next start removes the intent', async () => {
    const { key } = await createApiKey(records, await ensureDefaultTeam(records), 'k');
    runner.beforeCreate = () => new Promise(() => undefined);
    const api = await start();
    const headers = { 'x-api-key': key.reveal(), 'content-type': 'application/json' };
    const creating = ask('POST', '/v2/sandboxes', headers, '{"templateID":"base"}').catch(() => 0);
    while (runner.creates.length === 0) await sleep(5);
    const startedAt = Date.now();
    await api[Symbol.asyncDispose]();
    expect(Date.now() - startedAt).toBeLessThan(7000);
    expect(await creating).toBe(0);
    await using next = await start();
    expect(next.address).toBe(socketPath);
    expect(await records.sandboxes.clearCreations()).toBe(0);
  });
});
