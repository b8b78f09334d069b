import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, deploy, removeFunction, show } from '../harness/functions.ts';
import { ask, askApi } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const isMade = await hasTemplate('edge');

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

  test('gives an error response when it fails, and works afterwards', async () => {
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

  test('logs, and keeps its memory over a pause', async (context) => {
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
