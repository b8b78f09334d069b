import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { findServerPart, listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectionOf } from '../harness/drill.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = 5;
const waitMs = 45_000;
const secret = randomBytes(32).toString('hex');
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer({
    ...{ instance, poolSize: 1 },
    environment: { SOULBOX_ISOLATION: shared.isolation, SOULBOX_WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' },
  });
});
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

interface Received {
  readonly deliveryId: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let receiver: Server;
let received: Received[];
let respond: (response: ServerResponse) => void;
let webhookId: string;

beforeEach(async () => {
  received = [];
  respond = accept;
  receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      received.push({ deliveryId: String(request.headers['e2b-delivery-id']), headers: request.headers, body });
      respond(response);
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address() as AddressInfo;
  const events = ['created', 'killed'].map((type) => `sandbox.lifecycle.${type}`);
  const url = `http://127.0.0.1:${port}/`;
  const answer = await ask('POST', '/events/webhooks', { name: 'kill', url, events, signatureSecret: secret });
  expect(answer.status).toBe(201);
  ({ id: webhookId } = (await answer.json()) as { id: string });
});
afterEach(async () => {
  await ask('DELETE', `/events/webhooks/${webhookId}`);
  receiver.closeAllConnections();
  receiver.close();
});

const accept = (response: ServerResponse): void => void response.writeHead(204).end();
const refuse = (response: ServerResponse): void => void response.writeHead(500).end();
const leaveOpen = (): void => undefined;

async function ask(method: string, path: string, body?: object): Promise<Response> {
  const { apiUrl, apiKey } = connectionOf(server);
  const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
  return await fetch(apiUrl + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

async function killControl(): Promise<void> {
  process.kill(findServerPart(server.pid, 'control') ?? Number.NaN, 'SIGKILL');
  await until(
    'the next control plane',
    async () => (await ask('GET', '/v2/sandboxes').catch(() => undefined))?.ok,
    waitMs,
  );
}

/** Creates and kills sandboxes: two events each. */
async function makeEvents(sandboxCount: number): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < sandboxCount; made += 1) {
    const sandbox = await Sandbox.create('base', connectionOf(server));
    ids.push(sandbox.sandboxId);
    await sandbox.kill();
  }
  return ids;
}

const eventOf = ({ body }: Received) => JSON.parse(body) as { id: string; type: string; sandboxId: string };
const deliveredTypes = (sandboxId: string): string[] => [
  ...new Set(received.map(eventOf).flatMap((event) => (event.sandboxId === sandboxId ? [event.type] : []))),
];

/** Every delivery names one event, has a valid signature, and is the same in each attempt. */
function checkDeliveries(): void {
  for (const { headers, body } of received) {
    const signature = createHash('sha256').update(secret).update(body).digest('base64url');
    expect(headers).toMatchObject({
      ...{ 'e2b-webhook-id': webhookId, 'e2b-signature-version': 'v1', 'e2b-signature': signature },
    });
  }
  const bodies = Map.groupBy(received, ({ deliveryId }) => deliveryId);
  for (const attempts of bodies.values()) expect(new Set(attempts.map(({ body }) => body)).size).toBe(1);
  expect(new Set(received.map(eventOf).map(({ id }) => id)).size).toBe(bodies.size);
}

async function expectAll(sandboxIds: readonly string[]): Promise<void> {
  const all = ['sandbox.lifecycle.created', 'sandbox.lifecycle.killed'];
  for (const id of sandboxIds)
    await until(`both events of ${id}`, () => deliveredTypes(id).length === all.length, waitMs);
  for (const id of sandboxIds) expect(deliveredTypes(id).toSorted()).toEqual(all);
  checkDeliveries();
}

test('deliveries that wait or are in progress when control is killed all arrive, those in progress once more', async () => {
  respond = leaveOpen;
  const before = await makeEvents(3);
  await until('two deliveries in progress', () => received.length === 2, waitMs);
  const inProgress = received.map(({ deliveryId }) => deliveryId);
  respond = accept;
  await killControl();
  const after = await makeEvents(2);
  await expectAll([...before, ...after]);
  for (const id of inProgress) expect(received.filter(({ deliveryId }) => deliveryId === id)).toHaveLength(2);
});

test('a delivery that failed before control is killed is retried after it', async () => {
  respond = refuse;
  const [sandboxId = ''] = await makeEvents(1);
  await until('both attempts', () => received.length === 2, waitMs);
  respond = accept;
  await killControl();
  await expectAll([sandboxId]);
  await until('the second attempts', () => received.length === 4, waitMs);
});

test('a sandbox whose time ends while control is away has both its events delivered later', async () => {
  const timeoutMs = 2000;
  const sandbox = await Sandbox.create('base', { ...connectionOf(server), timeoutMs });
  const endsAt = Date.now() + timeoutMs;
  await until('the first event', () => received.length === 1, waitMs);
  while (Date.now() < endsAt + 500) {
    const control = findServerPart(server.pid, 'control');
    if (control !== undefined) process.kill(control, 'SIGKILL');
    await sleep(100);
  }
  expect(deliveredTypes(sandbox.sandboxId)).toHaveLength(1);
  await expectAll([sandbox.sandboxId]);
});
