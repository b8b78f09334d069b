import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { createApiKey, openSqliteRecords } from '@soulbox/storage';
import { ask, askApi } from '../harness/http.ts';
import type { Answer, Ask } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const isMade = await hasTemplate('edge');

/** One request to a function by its host name. */
const call = async (name: string, path = '/', more: Partial<Ask> = {}): Promise<Answer> =>
  await ask({ ...more, path, headers: { host: `fn-${name}.soulbox.localhost`, ...more.headers } });

const removeFunction = async (name: string): Promise<void> => {
  await askApi('DELETE', `/functions/${name}`);
};

const removeNamespace = async (path: string): Promise<void> => {
  await askApi('DELETE', path);
};

interface Shown {
  readonly state: string;
  readonly sandboxID: string;
  readonly activeVersion: number;
}

const show = async (name: string): Promise<Shown> => (await askApi('GET', `/functions/${name}`)).json as Shown;

/** A function for one test. */
async function deploy(name: string, source: string, more: object = {}): Promise<{ status: number; json: unknown }> {
  onTestFinished(() => removeFunction(name));
  return await askApi('POST', '/functions', { name, source, ...more });
}

const worker = `
let count = 0;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    count += 1;
    switch (url.pathname) {
      case '/count': return new Response(String(count));
      case '/seen': return Response.json({
        url: request.url, variable: env.GREETING, secret: env.TOKEN, ip: request.headers.get('cf-connecting-ip'), method: request.method,
      });
      case '/echo': return new Response(request.body, { headers: [['x-one', '1'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] });
      case '/stream': {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        context.waitUntil((async () => {
          for (const word of ['first', 'second']) { await writer.write(new TextEncoder().encode(word)); await wait(400); }
          await writer.close();
        })());
        return new Response(readable);
      }
      case '/socket': {
        const [client, own] = Object.values(new WebSocketPair());
        own.accept();
        own.binaryType = 'arraybuffer';
        own.addEventListener('message', ({ data }) => own.send(typeof data === 'string' ? 'echo ' + data : data));
        return new Response(null, { status: 101, webSocket: client });
      }
      case '/log': console.log('said', { a: 1 }); console.error('shouted'); return new Response('ok');
      case '/throw': throw new TypeError('on purpose');
      case '/loop': for (;;);
      case '/heap': { const all = []; for (;;) all.push(new Array(1000).fill(Math.random())); }
      case '/buffers': { const all = []; for (;;) { all.push(new Uint8Array(1 << 24).fill(1)); await wait(1); } }
      case '/slow': await wait(60000); return new Response('late');
      case '/inside': try { return new Response(String((await fetch('http://127.0.0.1:8786/health')).status)); } catch { return new Response('refused'); }
      default: return new Response('not here', { status: 404 });
    }
  },
};`;

describe.skipIf(!isMade)('a Worker', () => {
  const name = 'e2e-worker';
  beforeAll(async () => {
    const request = {
      name,
      source: worker,
      environment: { GREETING: 'hello "world"\n\\ ä' },
      secrets: { TOKEN: 'very-s3cret-value' },
      limits: { requestTimeoutMs: 2000, memoryMb: 64, maxBodyBytes: 100_000 },
    };
    expect(await askApi('POST', '/functions', request)).toMatchObject({
      status: 201,
      json: { name, state: 'running' },
    });
  });
  afterAll(() => removeFunction(name));

  test('answers by host name and by path, and sees the URL, its variables and its secrets', async () => {
    expect(JSON.parse((await call(name, '/seen?a=1')).body)).toEqual({
      url: `http://fn-${name}.soulbox.localhost/seen?a=1`,
      variable: 'hello "world"\n\\ ä',
      secret: 'very-s3cret-value',
      ip: '127.0.0.1',
      method: 'GET',
    });
    const byPath = await ask({ path: `/functions-http/${name}/seen?a=1` });
    expect(JSON.parse(byPath.body)).toMatchObject({ url: `http://127.0.0.1:${String(server.port)}/seen?a=1` });
    expect((await call(name, '/elsewhere')).status).toBe(404);
  });

  test('takes bodies and gives headers as they are', async () => {
    const body = 'x'.repeat(90_000);
    const answer = await call(name, '/echo', { method: 'POST', body });
    expect(answer).toMatchObject({ status: 200, body, headers: { 'x-one': '1', 'set-cookie': ['a=1', 'b=2'] } });
    expect(await call(name, '/echo', { method: 'POST', body: 'x'.repeat(100_001) })).toMatchObject({ status: 413 });
    // By its path it shares the API's origin, which it may set nothing for.
    const byPath = await ask({ path: `/functions-http/${name}/echo`, method: 'POST', body });
    expect(byPath).toMatchObject({ status: 200, body, headers: { 'x-one': '1', 'x-content-type-options': 'nosniff' } });
    expect(byPath.headers['set-cookie']).toBeUndefined();
    expect(byPath.headers['content-security-policy']).toMatch(/^sandbox(?!.*allow-same-origin)/);
  });

  test('keeps its secrets from everybody', async () => {
    const shown = await askApi('GET', `/functions/${name}`);
    expect(shown.json).toMatchObject({ secrets: ['TOKEN'] });
    expect(JSON.stringify([shown.json, (await askApi('GET', '/functions')).json])).not.toContain('very-s3cret');
    for (const file of ['records.sqlite', 'records.sqlite-wal', 'logs/server.log'])
      expect(await readFile(join(server.dataDirectory, file), 'latin1').catch(() => '')).not.toContain('very-s3cret');
    expect(JSON.parse((await call(name, '/seen')).body)).toMatchObject({ secret: 'very-s3cret-value' });
    expect(
      (await askApi('PUT', `/functions/${name}/secrets`, { secrets: { TOKEN: 'another', MORE: 'x' } })).json,
    ).toMatchObject({
      secrets: ['MORE', 'TOKEN'],
    });
    expect(JSON.parse((await call(name, '/seen')).body)).toMatchObject({ secret: 'another' });
    expect((await askApi('DELETE', `/functions/${name}/secrets/MORE`)).json).toMatchObject({ secrets: ['TOKEN'] });
    expect((await askApi('DELETE', `/functions/${name}/secrets/MORE`)).status).toBe(404);
  });

  test('streams: the first word is there before the second is written', async () => {
    const times = await new Promise<number[]>((resolve, reject) => {
      const arrived: number[] = [];
      const headers = { host: `fn-${name}.soulbox.localhost` };
      request({ host: '127.0.0.1', port: server.port, path: '/stream', headers }, (response) => {
        response.on('data', () => arrived.push(performance.now()));
        response.on('end', () => resolve(arrived));
        response.on('error', reject);
      }).end();
    });
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(200);
  });

  test('serves WebSockets', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${String(server.port)}/socket`, {
      headers: { host: `fn-${name}.soulbox.localhost` },
    });
    const received: string[] = [];
    socket.on('message', (data: Buffer) => received.push(data.toString('utf8')));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.send('one');
    socket.send(Buffer.from('two'));
    await until('two answers', () => received.length === 2);
    expect(received).toEqual(['echo one', 'two']);
    socket.close();
  });

  test('shows what its console said and what it was asked, from a cursor on', async () => {
    const log = async (cursor = 0) =>
      (await askApi('GET', `/functions/${name}/logs?cursor=${cursor}`)).json as {
        entries: { level: string; source: string; message: string }[];
        cursor: number;
      };
    const before = (await log()).cursor;
    await call(name, '/log?token=hidden');
    const lines = await until('the lines', async () => {
      const { entries } = await log(before);
      return entries.some(({ source }) => source === 'request') && entries.length >= 3 ? entries : undefined;
    });
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ source: 'console', level: 'info', message: 'said { a: 1 }' }),
        expect.objectContaining({ source: 'console', level: 'error', message: 'shouted' }),
        expect.objectContaining({
          source: 'request',
          message: expect.stringMatching(/^GET \/log 200 \d+ms$/) as string,
        }),
      ]),
    );
    expect(JSON.stringify(lines)).not.toContain('hidden');
  });

  test('is answered for when it throws, loops, takes all memory or never answers, and works afterwards', async () => {
    const fault = async (path: string): Promise<unknown> => {
      const { status, body } = await call(name, path);
      return { status, ...(JSON.parse(body) as object) };
    };
    expect(await fault('/throw')).toEqual({ status: 500, code: 500, message: 'The function threw: on purpose' });
    const [slow, stillFine] = await Promise.all([fault('/slow'), call(name, '/count')]);
    expect(slow).toMatchObject({ status: 504, message: 'The function did not answer within 2000 ms.' });
    expect(stillFine.status).toBe(200);
    for (const path of ['/heap', '/buffers']) {
      expect(await fault(path)).toMatchObject({ status: 503, message: expect.stringContaining('memory') as string });
      expect((await call(name, '/count')).status).toBe(200);
    }
    expect(await fault('/loop')).toMatchObject({ status: 504 });
    expect((await call(name, '/count')).body).toBe('1');
  });

  test('sleeps when nobody asks, and a request wakes it as it was', async (context) => {
    skipWithout('checkpoint', context);
    await deploy('e2e-sleeper', worker, { limits: { idleSeconds: 1 } });
    expect((await call('e2e-sleeper', '/count')).body).toBe('1');
    await until('sleep', async () => (await show('e2e-sleeper')).state === 'asleep', 20_000);
    const answers = await Promise.all([1, 2, 3].map(() => call('e2e-sleeper', '/count')));
    expect(answers.map(({ body }) => body).sort()).toEqual(['2', '3', '4']);
    expect((await show('e2e-sleeper')).state).toBe('running');
  });

  test('gets a new sandbox when its own is gone, and when only its supervisor is', async () => {
    const { sandboxID } = await show(name);
    await askApi('DELETE', `/sandboxes/${sandboxID}`);
    expect((await call(name, '/count')).body).toBe('1');
    expect((await show(name)).sandboxID).not.toBe(sandboxID);
  });

  test('has a sandbox that is not copied, and that nobody can pass theirs off for', async () => {
    const { sandboxID } = await show(name);
    for (const what of ['fork', 'snapshots'])
      expect((await askApi('POST', `/sandboxes/${sandboxID}/${what}`)).status).toBe(400);
    const request = { templateID: 'base', metadata: { 'soulbox.function': name } };
    expect((await askApi('POST', '/v2/sandboxes', request)).status).toBe(400);
  });

  test('is reached by strangers at its own port only', async () => {
    const { sandboxID } = await show(name);
    for (const port of ['8785', '8786', '8787']) {
      const answer = await ask({ path: '/health', headers: { 'e2b-sandbox-id': sandboxID, 'e2b-sandbox-port': port } });
      expect(answer.status).toBe(403);
    }
    expect((await call(name, '/inside')).body).toBe('refused');
  });

  test('answers through the control plane too', async () => {
    const request = {
      method: 'POST',
      path: '/echo',
      body: Buffer.from([0, 255, 254]).toString('base64'),
      encoding: 'base64',
    };
    expect((await askApi('POST', `/functions/${name}/invoke`, request)).json).toMatchObject({
      ...{ status: 200, body: request.body, encoding: 'base64' },
      headers: expect.arrayContaining([['x-one', '1']]) as unknown,
    });
    for (const bad of [
      { path: '//\r\nx' },
      { method: 'get it' },
      { headers: { host: 'x' } },
      { headers: { 'a b': 'x' } },
    ])
      expect((await askApi('POST', `/functions/${name}/invoke`, bad)).status).toBe(400);
  });
});

describe.skipIf(!isMade)("a function's versions", () => {
  const says = (text: string): string => `export default { fetch: () => new Response(${JSON.stringify(text)}) };`;

  test('follow each other without a gap, and go back at once', async () => {
    await deploy('e2e-versions', says('one'));
    let failures = 0;
    let going = true;
    const load = (async () => {
      while (going) if ((await call('e2e-versions')).status !== 200) failures += 1;
    })();
    expect((await askApi('POST', '/functions/e2e-versions/versions', { source: says('two') })).status).toBe(201);
    expect((await call('e2e-versions')).body).toBe('two');
    expect((await askApi('POST', '/functions/e2e-versions/rollback')).json).toMatchObject({ activeVersion: 1 });
    expect((await call('e2e-versions')).body).toBe('one');
    expect((await askApi('POST', '/functions/e2e-versions/rollback', { version: 2 })).json).toMatchObject({
      activeVersion: 2,
    });
    expect((await call('e2e-versions')).body).toBe('two');
    going = false;
    await load;
    expect(failures).toBe(0);
    expect((await askApi('POST', '/functions/e2e-versions/rollback', { version: 9 })).status).toBe(404);
    expect((await askApi('GET', '/functions/e2e-versions/versions')).json).toMatchObject([
      { version: 2, active: true },
      { version: 1, active: false },
    ]);
  });

  test('do not change when new code is bad', async () => {
    await deploy('e2e-bad', says('good'));
    const bad = [
      ['export default { fetch( {', /SyntaxError/],
      ['import x from "nowhere"; export default { fetch() {} };', /nowhere/],
      ['throw new Error("at the top"); export default {};', /at the top/],
      ['export default 5;', /./],
      ['for (;;);', /did not finish within/],
    ] as const;
    for (const [source, message] of bad) {
      const answer = await askApi('POST', '/functions/e2e-bad/versions', { source });
      expect(answer).toMatchObject({ status: 400, json: { message: expect.stringMatching(message) as string } });
    }
    expect(await call('e2e-bad')).toMatchObject({ status: 200, body: 'good' });
    expect((await askApi('GET', '/functions/e2e-bad/versions')).json).toHaveLength(1);
    expect((await deploy('e2e-never', 'export default { fetch( {')).status).toBe(400);
    expect((await call('e2e-never')).status).toBe(404);
  });
});

const kvWorker = `
export default {
  async fetch(request, env) {
    const { op, args, text } = await request.json();
    try {
      const result = await env.STORE[op](...args, ...(text === undefined ? [] : [text]));
      return Response.json({ result: result ?? null });
    } catch (error) {
      return Response.json({ error: String(error) });
    }
  },
};`;

describe.skipIf(!isMade)('a key-value binding', () => {
  const kv = async (name: string, op: string, ...args: unknown[]): Promise<{ result?: unknown; error?: string }> =>
    JSON.parse((await call(name, '/', { method: 'POST', body: JSON.stringify({ op, args }) })).body) as object;

  test('puts, gets, lists and deletes, shared by functions that name the same namespace', async () => {
    await deploy('e2e-kv-a', kvWorker, { kv: { STORE: 'e2e-shared' } });
    await deploy('e2e-kv-b', kvWorker, { kv: { STORE: 'e2e-shared' } });
    await deploy('e2e-kv-c', kvWorker, { kv: { STORE: 'e2e-other' } });
    onTestFinished(async () => {
      for (const name of ['e2e-shared', 'e2e-other']) await askApi('DELETE', `/kv/${name}`);
    });
    expect(await kv('e2e-kv-a', 'get', 'nothing')).toEqual({ result: null });
    for (const key of ['b', 'a/1 ?#%', 'a/2', 'ä'])
      await kv('e2e-kv-a', 'put', key, `value of ${key}`, { metadata: { key }, expirationTtl: 60 });
    expect(await kv('e2e-kv-b', 'get', 'a/1 ?#%')).toEqual({ result: 'value of a/1 ?#%' });
    expect(await kv('e2e-kv-b', 'getWithMetadata', 'ä')).toMatchObject({
      result: { value: 'value of ä', metadata: { key: 'ä' } },
    });
    expect(await kv('e2e-kv-b', 'get', ['b', 'none'])).toBeDefined();
    expect(await kv('e2e-kv-c', 'get', 'b')).toEqual({ result: null });
    expect(await kv('e2e-kv-a', 'list', { prefix: 'a/', limit: 1 })).toMatchObject({
      result: { keys: [{ name: 'a/1 ?#%', metadata: { key: 'a/1 ?#%' } }], list_complete: false },
    });
    const { result } = await kv('e2e-kv-a', 'list', { prefix: 'a/', limit: 1 });
    const { cursor } = result as { cursor: string };
    expect(await kv('e2e-kv-a', 'list', { prefix: 'a/', cursor })).toMatchObject({
      result: { keys: [{ name: 'a/2' }], list_complete: true },
    });
    await kv('e2e-kv-b', 'delete', 'b');
    expect(await kv('e2e-kv-a', 'get', 'b')).toEqual({ result: null });
    const large = 'x'.repeat(2_000_000);
    await kv('e2e-kv-a', 'put', 'large', large);
    expect(await kv('e2e-kv-a', 'get', 'large')).toEqual({ result: large });
  });

  test('refuses what Workers KV refuses', async () => {
    await deploy('e2e-kv-d', kvWorker, { kv: { STORE: 'e2e-limits' } });
    onTestFinished(() => removeNamespace('/kv/e2e-limits'));
    for (const args of [
      ['', 'v'],
      ['..', 'v'],
      ['k'.repeat(513), 'v'],
      ['k', 'v', { expirationTtl: 5 }],
      ['k', 'v', { metadata: 'x'.repeat(1025) }],
    ])
      expect((await kv('e2e-kv-d', 'put', ...args)).error).toBeTruthy();
    expect(await kv('e2e-kv-d', 'list')).toMatchObject({ result: { keys: [] } });
  });

  test('works again after its sandbox slept', async (context) => {
    skipWithout('checkpoint', context);
    await deploy('e2e-kv-e', kvWorker, { kv: { STORE: 'e2e-asleep' } });
    onTestFinished(() => removeNamespace('/kv/e2e-asleep'));
    await kv('e2e-kv-e', 'put', 'k', 'v');
    await askApi('POST', `/sandboxes/${(await show('e2e-kv-e')).sandboxID}/pause`);
    expect(await kv('e2e-kv-e', 'get', 'k')).toEqual({ result: 'v' });
  });
});

describe.skipIf(!isMade)('functions of another team', () => {
  test('are not there, but their names are taken', async () => {
    const records = openSqliteRecords(join(server.dataDirectory, 'records.sqlite'));
    onTestFinished(async () => {
      await records[Symbol.asyncDispose]();
    });
    const team = { id: 'e2e-functions-team', name: 'e2e-functions', isDefault: false, createdAt: 1 };
    await records.teams.create(team).catch(() => undefined);
    const key = { 'x-api-key': (await createApiKey(records, team, 'functions')).key.reveal() };
    await deploy('e2e-owned', 'export default { fetch: () => new Response("mine") };');
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/versions'],
      ['GET', '/logs'],
      ['POST', '/rollback'],
      ['POST', '/invoke'],
    ] as const)
      expect((await askApi(method, `/functions/e2e-owned${path}`, undefined, key)).status).toBe(404);
    expect((await askApi('GET', '/functions', undefined, key)).json).toEqual([]);
    const request = { name: 'e2e-owned', source: 'export default {};' };
    expect((await askApi('POST', '/functions', request, key)).status).toBe(409);
    for (const name of ['', '-a', 'a-', 'A', 'a.b', 'a'.repeat(41), '../x'])
      expect((await askApi('POST', '/functions', { ...request, name }, key)).status).toBe(400);
  });
});

const edge = `
export const config = { runtime: 'edge' };
let count = 0;
export default async function handler(request, context) {
  const url = new URL(request.url);
  count += 1;
  switch (url.pathname) {
    case '/count': return new Response(String(count));
    case '/seen': return Response.json({ url: request.url, variable: process.env.GREETING, secret: process.env.TOKEN, ip: request.headers.get('x-real-ip') });
    case '/echo': return new Response(await request.text(), { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] });
    case '/stream': return new Response(new ReadableStream({
      async start(controller) {
        for (const word of ['first', 'second']) { controller.enqueue(new TextEncoder().encode(word)); await new Promise((resolve) => setTimeout(resolve, 400)); }
        controller.close();
      },
    }));
    case '/log': console.log('said', { a: 1 }); context.waitUntil(Promise.reject(new Error('later'))); return new Response('ok');
    case '/throw': throw new TypeError('on purpose');
    case '/loop': for (;;);
    case '/buffers': { const all = []; for (;;) { all.push(new Uint8Array(1 << 24).fill(1)); await new Promise((resolve) => setTimeout(resolve, 1)); } }
    case '/nothing': return undefined;
    default: return new Response('not here', { status: 404 });
  }
}`;

describe.skipIf(!isMade)('a Vercel Edge function', () => {
  const name = 'e2e-edge';
  beforeAll(async () => {
    const request = {
      ...{
        name,
        kind: 'edge',
        source: edge,
        environment: { GREETING: 'hello' },
        secrets: { TOKEN: 'very-s3cret-value' },
      },
      limits: { requestTimeoutMs: 2000, memoryMb: 64 },
    };
    expect((await askApi('POST', '/functions', request)).status).toBe(201);
  });
  afterAll(() => removeFunction(name));

  test('answers with its variables, bodies, cookies and streams', async () => {
    expect(JSON.parse((await call(name, '/seen?a=1')).body)).toEqual({
      url: `http://fn-${name}.soulbox.localhost/seen?a=1`,
      ...{ variable: 'hello', secret: 'very-s3cret-value', ip: '127.0.0.1' },
    });
    expect(await call(name, '/echo', { method: 'POST', body: 'ä'.repeat(50_000) })).toMatchObject({
      status: 200,
      body: 'ä'.repeat(50_000),
      headers: { 'set-cookie': ['a=1', 'b=2'] },
    });
    expect((await call(name, '/stream')).body).toBe('firstsecond');
    expect((await ask({ path: `/functions-http/${name}` })).status).toBe(404);
  });

  test('is answered for when it fails, and works afterwards', async () => {
    expect(await call(name, '/throw')).toMatchObject({
      status: 500,
      body: expect.stringContaining('on purpose') as string,
    });
    expect(await call(name, '/nothing')).toMatchObject({ status: 500 });
    expect(await call(name, '/buffers')).toMatchObject({ status: 503 });
    expect((await call(name, '/count')).status).toBe(200);
    expect(await call(name, '/loop')).toMatchObject({ status: 504 });
    expect((await call(name, '/count')).body).toBe('1');
  });

  test('logs, and sleeps and wakes as it was', async (context) => {
    await call(name, '/log');
    await until('the lines', async () => {
      const text = JSON.stringify((await askApi('GET', `/functions/${name}/logs`)).json);
      return text.includes('said { a: 1 }') && text.includes('waitUntil: Error: later');
    });
    skipWithout('checkpoint', context);
    const before = Number((await call(name, '/count')).body);
    await askApi('POST', `/sandboxes/${(await show(name)).sandboxID}/pause`);
    expect(Number((await call(name, '/count')).body)).toBe(before + 1);
  });

  test('may export one handler per method', async () => {
    await deploy(
      'e2e-methods',
      'export const GET = () => new Response("got"); export function POST() { return new Response("posted"); }',
      {
        kind: 'edge',
      },
    );
    expect((await call('e2e-methods')).body).toBe('got');
    expect((await call('e2e-methods', '/', { method: 'POST' })).body).toBe('posted');
    expect((await call('e2e-methods', '/', { method: 'PUT' })).status).toBe(405);
    expect((await deploy('e2e-edge-bad', 'export default function ( {', { kind: 'edge' })).status).toBe(400);
    expect((await deploy('e2e-edge-kv', edge, { kind: 'edge', kv: { A: 'b' } })).status).toBe(400);
  });
});
