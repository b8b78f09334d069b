import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { call, deploy, removeFunction, show } from '../harness/functions.ts';
import { ask, askApi } from '../harness/http.ts';
import type { Answer, Ask } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const isMade = await hasTemplate('edge');

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

  test('answers by host name and by path, and gets the URL, its variables and its secrets', async () => {
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

  test('receives bodies and sends headers unchanged', async () => {
    const body = 'x'.repeat(90_000);
    const answer = await call(name, '/echo', { method: 'POST', body });
    expect(answer).toMatchObject({ status: 200, body, headers: { 'x-one': '1', 'set-cookie': ['a=1', 'b=2'] } });
    expect(await call(name, '/echo', { method: 'POST', body: 'x'.repeat(100_001) })).toMatchObject({ status: 413 });
    // By its path it shares the origin of the API, for which it may not set anything.
    const byPath = await ask({ path: `/functions-http/${name}/echo`, method: 'POST', body });
    expect(byPath).toMatchObject({ status: 200, body, headers: { 'x-one': '1', 'x-content-type-options': 'nosniff' } });
    expect(byPath.headers['set-cookie']).toBeUndefined();
    expect(byPath.headers['content-security-policy']).toMatch(/^sandbox(?!.*allow-same-origin)/);
  });

  test('never shows its secrets', async () => {
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

  test('streams: the first word arrives before the second is written', async () => {
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

  test('logs console output and requests, readable from a cursor', async () => {
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

  test('gives an error response when it throws, loops, uses all memory or never answers, and works afterwards', async () => {
    const fault = async (path: string): Promise<unknown> => {
      const { status, body } = await call(name, path);
      return { status, ...(JSON.parse(body) as object) };
    };
    expect(await fault('/throw')).toEqual({ status: 500, code: 500, message: 'The function threw: on purpose' });
    const [slow, stillFine] = await Promise.all([fault('/slow'), call(name, '/count')]);
    expect(slow).toMatchObject({ status: 504, message: 'The function did not respond within 2000 ms.' });
    expect(stillFine.status).toBe(200);
    for (const path of ['/heap', '/buffers']) {
      expect(await fault(path)).toMatchObject({ status: 503, message: expect.stringContaining('memory') as string });
      expect((await call(name, '/count')).status).toBe(200);
    }
    expect(await fault('/loop')).toMatchObject({ status: 504 });
    expect((await call(name, '/count')).body).toBe('1');
  });

  test('that leaves much garbage gets new engines without an error, and an open response continues', async () => {
    const source = `
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const engine = Math.random();
      export default { async fetch(request, env, context) {
        if (new URL(request.url).pathname === '/engine') return new Response(String(engine));
        if (new URL(request.url).pathname !== '/slow') return new Response(new Uint8Array(100_000));
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        context.waitUntil((async () => {
          for (let n = 0; n < 20; n++) { await writer.write(new TextEncoder().encode('.')); await wait(100); }
          await writer.close();
        })());
        return new Response(readable);
      } };`;
    await deploy('e2e-garbage', source, { limits: { memoryMb: 16 } });
    const engineOf = async (): Promise<string> => (await call('e2e-garbage', '/engine')).body;
    const first = await engineOf();
    const slow = call('e2e-garbage', '/slow');
    const batch = async (): Promise<number[]> =>
      (await Promise.all(Array.from({ length: 32 }, async () => await call('e2e-garbage')))).map(
        ({ status }) => status,
      );
    await until('a new engine', async () => {
      expect(new Set(await batch())).toEqual(new Set([200]));
      return (await engineOf()) !== first;
    });
    expect((await slow).body).toBe('.'.repeat(20));
    await removeFunction('e2e-garbage');
  });

  test('is paused when idle, and a request resumes it with its memory', async (context) => {
    skipWithout('checkpoint', context);
    await deploy('e2e-sleeper', worker, { limits: { idleSeconds: 1 } });
    expect((await call('e2e-sleeper', '/count')).body).toBe('1');
    await until('sleep', async () => (await show('e2e-sleeper')).state === 'asleep', 20_000);
    const answers = await Promise.all([1, 2, 3].map(() => call('e2e-sleeper', '/count')));
    expect(answers.map(({ body }) => body).sort()).toEqual(['2', '3', '4']);
    expect((await show('e2e-sleeper')).state).toBe('running');
  });

  test('gets a new sandbox when its sandbox is gone', async () => {
    const { sandboxID } = await show(name);
    await askApi('DELETE', `/sandboxes/${sandboxID}`);
    expect((await call(name, '/count')).body).toBe('1');
    expect((await show(name)).sandboxID).not.toBe(sandboxID);
  });

  test('has a sandbox that cannot be copied or imitated', async () => {
    const { sandboxID } = await show(name);
    for (const what of ['fork', 'snapshots'])
      expect((await askApi('POST', `/sandboxes/${sandboxID}/${what}`)).status).toBe(400);
    const request = { templateID: 'base', metadata: { 'soulbox.function': name } };
    expect((await askApi('POST', '/v2/sandboxes', request)).status).toBe(400);
  });

  test('is reachable for strangers at its own port only', async () => {
    const { sandboxID } = await show(name);
    for (const port of ['8785', '8786', '8787']) {
      const answer = await ask({ path: '/health', headers: { 'e2b-sandbox-id': sandboxID, 'e2b-sandbox-port': port } });
      expect(answer.status).toBe(403);
    }
    expect((await call(name, '/inside')).body).toBe('refused');
  });

  test('can be called by a signed URL with limits, and never sees the signature', async () => {
    const sign = async (body: object): Promise<URL> => {
      const { status, json } = await askApi('POST', '/signed-urls', body);
      expect(status).toBe(201);
      return new URL((json as { url: string }).url);
    };
    const read = async ({ host, pathname, search }: URL, more: Partial<Ask> = {}): Promise<Answer> =>
      await ask({ ...more, path: pathname + search, headers: { host, ...more.headers } });
    const host = `fn-${name}.soulbox.localhost:${String(server.port)}`;
    const byHost = await sign({ url: `http://${host}/seen?a=1` });
    expect(JSON.parse((await read(byHost)).body)).toMatchObject({ url: `http://${host}/seen?a=1` });
    byHost.searchParams.set('a', '2');
    expect((await read(byHost)).status).toBe(401);
    const once = await sign({ url: `/functions-http/${name}/count`, once: true });
    expect([(await read(once)).status, (await read(once)).status]).toEqual([200, 409]);
    const post = await sign({ url: `http://${host}/echo`, method: 'POST', maxBytes: 5 });
    expect((await read(post, { method: 'POST', body: 'small' })).body).toBe('small');
    const headers = { 'transfer-encoding': 'chunked' };
    expect((await read(post, { method: 'POST', body: 'larger', headers })).status).toBe(413);
  });

  test('can be invoked through the control plane', async () => {
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
