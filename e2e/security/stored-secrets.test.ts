import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesWith as filesIn } from '../harness/files-with.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// A server of its own, because its master key is rotated and taken away.
let server: ServerProcess;
beforeAll(async () => {
  const environment = { SOULBOX_ISOLATION: shared.isolation, SOULBOX_WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' };
  server = await startServer({ instance: ownInstance(), environment, poolSize: 0 });
});
afterAll(async () => {
  await server.stop();
  await rm(server.dataDirectory, { recursive: true });
});

const env = (name: string): string => server.clientEnvironment[name] ?? '';
const connection = () => ({
  apiUrl: env('E2B_API_URL'),
  sandboxUrl: env('E2B_SANDBOX_URL'),
  apiKey: env('E2B_API_KEY'),
});
const masterKeyFile = (): string => join(server.dataDirectory, 'control', 'secrets', 'master-key');

const run = promisify(execFile);
const soulbox = async (...args: string[]): Promise<string> => {
  const main = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');
  return (await run(nodeProgram, [main, ...args, '--data-dir', server.dataDirectory])).stdout;
};

const filesWith = async (canary: string): Promise<string[]> => await filesIn(server.dataDirectory, canary);

async function createWebhook(url: string, signatureSecret: string): Promise<void> {
  const answer = await fetch(`${env('E2B_API_URL')}/events/webhooks`, {
    method: 'POST',
    headers: { 'x-api-key': env('E2B_API_KEY'), 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'n', url, events: ['sandbox.lifecycle.created'], signatureSecret }),
  });
  expect(answer.status).toBe(201);
}

/** Receives deliveries. */
async function listenForDeliveries() {
  const deliveries: { readonly body: string; readonly signature: unknown }[] = [];
  const receiver = createServer((request, response) => {
    void text(request).then((body) => {
      deliveries.push({ body, signature: request.headers['e2b-signature'] });
      response.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  return { deliveries, port: (receiver.address() as AddressInfo).port, [Symbol.dispose]: () => void receiver.close() };
}

test('the secret of a webhook is nowhere on the disk, and signs deliveries before, during and after a rotation', async () => {
  using receiver = await listenForDeliveries();
  const secret = `canary-${randomBytes(8).toString('hex')}`;
  await createWebhook(`http://127.0.0.1:${receiver.port}/`, secret);
  expect(await filesWith(secret)).toEqual([]);
  const delivered = async (): Promise<void> => {
    const before = receiver.deliveries.length;
    const sandbox = await Sandbox.create(connection());
    await until('the delivery', () => Promise.resolve(receiver.deliveries.length > before));
    await sandbox.kill();
    const { body, signature } = receiver.deliveries.at(-1) ?? { body: '', signature: '' };
    expect(signature).toBe(createHash('sha256').update(secret).update(body).digest('base64url'));
  };
  await delivered();
  const old = await readFile(masterKeyFile(), 'utf8');
  expect(await soulbox('key', 'rotate-master')).toMatch(/Re-wrapped \d+ data keys with file:/);
  const rotated = await readFile(masterKeyFile(), 'utf8');
  expect(rotated).not.toBe(old);
  const control = await stat(join(server.dataDirectory, 'control'));
  expect(await stat(masterKeyFile())).toMatchObject({ uid: control.uid, gid: control.gid, mode: 0o100600 });
  await delivered();
  await createWebhook(`http://127.0.0.1:${receiver.port}/`, secret);
  expect(await filesWith(secret)).toEqual([]);
});

test('the credentials of a bucket are nowhere on the disk', async () => {
  const credentials = { accessKeyId: 'a', secretAccessKey: `canary-${randomBytes(8).toString('hex')}` };
  const ask = async (method: string, path: string, body: object): Promise<number> => {
    const headers = { 'x-api-key': env('E2B_API_KEY'), 'content-type': 'application/json' };
    return (await fetch(`${env('E2B_API_URL')}${path}`, { method, headers, body: JSON.stringify(body) })).status;
  };
  expect(await ask('POST', '/buckets', { name: 'b', url: 's3://bucket', credentials })).toBe(201);
  expect(await ask('PATCH', '/buckets/b', { credentials: { ...credentials, sessionToken: 'x' } })).toBe(200);
  expect(await filesWith(credentials.secretAccessKey)).toEqual([]);
});

test('without its master key, the server does not start, names the key, and creates none', async () => {
  await server.stop();
  await rename(masterKeyFile(), `${masterKeyFile()}.kept`);
  const failed = server.restart();
  await expect(failed).rejects.toThrow(/The master key file:[0-9a-f]{16} is missing in .*control\/secrets\/master-key/);
  await expect(stat(masterKeyFile())).rejects.toThrow('ENOENT');
  await rename(`${masterKeyFile()}.kept`, masterKeyFile());
  await server.restart();
});
