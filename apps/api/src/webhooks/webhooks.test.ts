import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '@soulbox/base';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const secret = 'a secret of some length';
let api: TestApi;
let server: Server;
let url: string;
let received: Received[];
let answer: (response: ServerResponse, request: Received) => void;
/** Milliseconds by which the API's clock is ahead. */
let ahead: number;

beforeEach(async () => {
  received = [];
  ahead = 0;
  answer = (response) => response.writeHead(200).end('ignored');
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const got = { path: request.url ?? '', headers: request.headers, body };
      received.push(got);
      answer(response, got);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = await startTestApi({
    config: { webhookAllowPrivate: ['127.0.0.1'] },
    clock: { now: () => Date.now() + ahead },
  });
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
});

const created = ['sandbox.lifecycle.created'];
const hook = (more: object = {}) => ({
  name: 'mine',
  url: `${url}/hook`,
  events: created,
  signatureSecret: secret,
  ...more,
});
const add = (more: object = {}, key?: string) =>
  api.ask('POST', '/events/webhooks', { body: hook(more), ...(key === undefined ? {} : { key }) });
const added = async (more: object = {}): Promise<string> => ((await add(more)).json as { id: string }).id;
async function create(): Promise<string> {
  const made = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  return (made.json as { sandboxID: string }).sandboxID;
}
/** Advances the clock by ten seconds and causes an event, so that the queue is checked. */
async function letRetryComeDue(): Promise<void> {
  ahead += 10_000;
  await create();
}
const deliveriesOf = (sandboxId: string) => received.filter(({ body }) => body.includes(`"${sandboxId}"`));

describe('an address of this host that looks public', () => {
  const address = '203.0.113.92';
  beforeEach(async () => {
    await run('ip', ['link', 'add', 'sbhook0', 'type', 'veth', 'peer', 'name', 'sbhook1']);
    await run('ip', ['link', 'set', 'sbhook0', 'up']);
  });
  afterEach(async () => {
    await run('ip', ['link', 'del', 'sbhook0']);
  });

  it('gets no webhook at its creation, and no delivery when the host gets the address afterwards', async () => {
    const { port } = server.address() as AddressInfo;
    const target = { url: `http://${address}:${port}/hook` };
    expect((await add(target)).status).toBe(201);
    server.closeAllConnections();
    server.close();
    await run('ip', ['addr', 'add', `${address}/32`, 'dev', 'sbhook0']);
    server.listen(port, address);
    await once(server, 'listening');
    // Until the last reading of the host's addresses has expired.
    await sleep(150);
    expect((await add(target)).status).toBe(400);
    await create();
    await until(async () => /webhook delivery failed/.test(await api.readLog()));
    expect(received).toEqual([]);
  });
});

describe('managing webhooks', () => {
  it('creates, shows, lists, changes and deletes them, and never shows the secret', async () => {
    const made = await add();
    expect(made.status).toBe(201);
    const { id } = made.json as { id: string };
    const shown = {
      ...{ id, teamId: api.teamId, name: 'mine', url: `${url}/hook`, enabled: true, events: created },
      createdAt: expect.any(String) as string,
    };
    expect(made.json).toEqual(shown);
    expect((await api.ask('GET', `/events/webhooks/${id}`)).json).toEqual(shown);
    expect((await api.ask('GET', '/events/webhooks')).json).toEqual([shown]);
    const changed = await api.ask('PATCH', `/events/webhooks/${id}`, {
      body: { enabled: false, signatureSecret: 'another one' },
    });
    expect([changed.status, changed.json]).toEqual([200, { ...shown, enabled: false }]);
    expect((await api.ask('DELETE', `/events/webhooks/${id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/events/webhooks/${id}`)).status).toBe(404);
    expect(await api.readLog()).not.toMatch(/a secret of some length|another one/);
  });

  it.each([
    ['no URL', { url: undefined }],
    ['another protocol', { url: 'ftp://x.test/' }],
    ['a file', { url: 'file:///etc/passwd' }],
    ['credentials in the URL', { url: 'https://user:word@x.test/' }],
    ['no URL at all', { url: 'x' }],
    ['a URL of 3,000 characters', { url: `https://x.test/${'a'.repeat(3000)}` }],
    ['no events', { events: [] }],
    ['an unknown event', { events: ['sandbox.lifecycle.eaten'] }],
    ['events as text', { events: 'sandbox.lifecycle.killed' }],
    ['no secret', { signatureSecret: undefined }],
    ['a short secret', { signatureSecret: '1234567' }],
    ['an empty name', { name: ' ' }],
    ['a name with a line break', { name: 'a\nb' }],
    ['enabled as text', { enabled: 'yes' }],
    ['a private address', { url: 'http://10.0.0.1/' }],
    ["the platform's own address", { url: 'http://168.63.129.16/' }],
    ['the metadata service', { url: 'http://169.254.169.254/latest' }],
    ['this machine by another name', { url: 'http://localhost/' }],
    ['this machine as IPv6', { url: 'http://[::1]/' }],
    ['a private address as mapped IPv6', { url: 'http://[::ffff:10.0.0.1]/' }],
  ])('refuses %s, at the creation and at a change', async (_what, more) => {
    expect((await add(more)).status).toBe(400);
    const id = await added();
    const [name] = Object.keys(more);
    if ((more as Record<string, unknown>)[name ?? ''] === undefined) return;
    expect((await api.ask('PATCH', `/events/webhooks/${id}`, { body: more })).status).toBe(400);
    expect((await api.ask('GET', `/events/webhooks/${id}`)).json).toMatchObject({ url: `${url}/hook`, name: 'mine' });
  });

  it('limits each team to its own webhooks and to twenty', async () => {
    const id = await added();
    for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', { name: 'stolen' }]] as const)
      expect((await api.ask(method, `/events/webhooks/${id}`, { key: api.otherKey, body })).status).toBe(404);
    expect((await api.ask('GET', '/events/webhooks', { key: api.otherKey })).json).toEqual([]);
    const answers = await Promise.all(Array.from({ length: 30 }, () => add()));
    expect(answers.filter((made) => made.status === 201)).toHaveLength(19);
    expect(answers.filter((made) => made.status === 429)).toHaveLength(11);
    expect((await add({}, api.otherKey)).status).toBe(201);
  });
});

describe('delivering', () => {
  it("posts the event with E2B's headers and signature", async () => {
    const webhookId = await added();
    const sandboxId = await create();
    await until(() => received.length === 1);
    const [got] = received;
    const body = got?.body ?? '';
    const [event] = (await api.ask('GET', '/events/sandboxes')).json as object[];
    expect(JSON.parse(body)).toEqual(event);
    expect(JSON.parse(body)).toMatchObject({ sandboxId, type: 'sandbox.lifecycle.created' });
    expect(got).toMatchObject({
      path: '/hook',
      headers: {
        'content-type': 'application/json',
        'e2b-webhook-id': webhookId,
        'e2b-delivery-id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        'e2b-signature-version': 'v1',
        'e2b-signature': createHash('sha256')
          .update(secret + body)
          .digest('base64url'),
      },
    });
    expect(got?.headers['e2b-signature']).not.toContain('=');
  });

  it('sends each team its own events, and only the types that it selected', async () => {
    await add({ url: `${url}/killed`, events: ['sandbox.lifecycle.killed'] });
    await add({ url: `${url}/off`, enabled: false });
    await add({ url: `${url}/other` }, api.otherKey);
    const id = await create();
    await api.ask('DELETE', `/sandboxes/${id}`);
    await until(() => received.length === 1);
    await sleep(100);
    expect(received.map(({ path }) => path)).toEqual(['/killed']);
  });

  it('retries a failure three more times, ten seconds apart, with the same id, and then gives up', async () => {
    answer = (response) => response.writeHead(500).end();
    await add();
    const id = await create();
    for (let tries = 1; tries <= 4; tries++) {
      await until(() => deliveriesOf(id).length === tries);
      await create();
      await sleep(30);
      expect(deliveriesOf(id)).toHaveLength(tries);
      await letRetryComeDue();
    }
    await sleep(100);
    expect(deliveriesOf(id)).toHaveLength(4);
    expect(new Set(deliveriesOf(id).map(({ headers }) => headers['e2b-delivery-id'])).size).toBe(1);
    expect(await api.readLog()).toContain('The receiver returned status 500.');
  });

  it('ends a delivery that a later attempt has delivered', async () => {
    answer = (response) => response.writeHead(received.length === 1 ? 503 : 204).end();
    await add();
    const id = await create();
    await until(() => deliveriesOf(id).length === 1);
    await until(async () => (await api.readLog()).includes('webhook delivery failed'));
    for (let n = 0; n < 3; n++) await letRetryComeDue();
    await until(() => received.length === 5);
    expect(deliveriesOf(id)).toHaveLength(2);
  });

  it('does not follow redirects', async () => {
    answer = (response, { path }) =>
      path === '/hook' ? response.writeHead(307, { location: `${url}/elsewhere` }).end() : response.end();
    await add();
    await create();
    await until(() => received.length === 1);
    await until(async () => (await api.readLog()).includes('The receiver returned status 307.'));
    expect(received.map(({ path }) => path)).toEqual(['/hook']);
  });

  it('does not read the response of the receiver', async () => {
    let closed = false;
    answer = (response) => {
      response.on('close', () => (closed = true));
      response.writeHead(200);
      const drip = setInterval(() => response.write('x'.repeat(65_536)), 5);
      response.on('close', () => clearInterval(drip));
    };
    await add();
    await create();
    await until(() => closed);
  });

  it('continues with other webhooks while one hangs', async () => {
    answer = (response, { path }) => {
      if (path !== '/hook') response.end();
    };
    await add();
    await add({ url: `${url}/quick` });
    for (let n = 0; n < 20; n++) await create();
    await until(() => received.filter(({ path }) => path === '/quick').length === 20);
    expect(received.filter(({ path }) => path === '/hook')).toHaveLength(2);
  });

  it('gives a receiver ten seconds', async () => {
    answer = () => undefined;
    await add();
    await create();
    await until(() => received.length === 1);
    const startedAt = Date.now();
    while (!(await api.readLog()).includes('webhook delivery failed')) {
      expect(Date.now() - startedAt).toBeLessThan(15_000);
      await sleep(50);
    }
    expect(Date.now() - startedAt).toBeGreaterThan(8000);
  });

  it('continues after a restart in the middle, with the same id', async () => {
    answer = () => undefined;
    await add();
    const id = await create();
    await until(() => received.length === 1);
    const startedAt = Date.now();
    const restarting = api.restart();
    answer = (response) => response.end();
    await restarting;
    expect(Date.now() - startedAt).toBeLessThan(5000);
    await until(() => deliveriesOf(id).length === 2);
    const [first, second] = deliveriesOf(id);
    expect(second?.headers['e2b-delivery-id']).toBe(first?.headers['e2b-delivery-id']);
    expect(second?.body).toBe(first?.body);
    await until(async () => (await api.readLog()).includes('webhook delivered'));
    await api.restart();
    await sleep(100);
    expect(received).toHaveLength(2);
  });

  it('ends with the webhook', async () => {
    answer = (response) => response.writeHead(500).end();
    const id = await added();
    await create();
    await until(async () => (await api.readLog()).includes('webhook delivery failed'));
    await api.ask('DELETE', `/events/webhooks/${id}`);
    await letRetryComeDue();
    await sleep(100);
    expect(received).toHaveLength(1);
  });

  it('survives a missing receiver', async () => {
    await add({ url: 'http://127.0.0.1:1/' });
    await add();
    await create();
    await until(() => received.length === 1);
    await until(async () => (await api.readLog()).includes('ECONNREFUSED'));
  });
});
