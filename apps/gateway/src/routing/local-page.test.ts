import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askHttp2 } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';
import { createLocalGuard } from './local-page.ts';

let world: TestWorld;
beforeAll(async () => {
  const functions = { open: () => Promise.resolve({ sandboxId, port: 8787, leaseMs: 0 }) };
  world = await startTestWorld({ functions, config: { allowedHosts: ['box.lan'] } });
  for (const port of [8787, 8080]) await world.serve(port, (_request, response) => void response.end('tenant'));
});
afterAll(async () => await world[Symbol.asyncDispose]());

const at = async (path: string, headers: Record<string, string>) => await ask(`${world.url}${path}`, { headers });
const routing = { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': '8080' };

describe('a program of this host may name the server', () => {
  test.each([
    ...['127.0.0.1', '127.0.0.1:3000', '[::1]:3000', '192.0.2.7', 'localhost:3000', 'LOCALHOST', 'app.localhost'],
    ...['soulbox.localhost', 'api.soulbox.localhost:3443', 'box.lan', 'a.box.lan:80', 'box.lan.'],
  ])('%s', async (host) => {
    expect((await at('/health', { host })).status).toBe(200);
  });
});

describe('a DNS name of a stranger', () => {
  test.each([
    ...['evil.example', 'evil.example:3000', 'localhost.evil.example', 'box.lan.evil.example', 'notbox.lan'],
    ...['soulbox.localhost.evil.example', `8080-${sandboxId}.evil.example`, '127.0.0.1.evil.example', '0x7f000001'],
  ])('%s reaches neither API nor functions nor sandboxes', async (host) => {
    for (const [path, headers] of [
      ['/health', {}],
      ['/functions-http/shop', {}],
      ['/', routing],
    ] as const) {
      const answer = await at(path, { host, ...headers });
      expect([answer.status, answer.body]).toEqual([421, expect.stringContaining('SOULBOX_ALLOWED_HOSTS') as string]);
    }
  });

  test('is refused over HTTP/2, too', async () => {
    const answer = await askHttp2(world.url, { ':path': '/health', ':authority': 'evil.example' });
    expect(answer.status).toBe(421);
  });
});

describe('a web page', () => {
  test.each(['https://evil.example', 'http://127.0.0.1.evil.example', 'null', 'file://', '', 'x', 'https://a b'])(
    'of the origin %j cannot call the server',
    async (origin) => {
      const answer = await at('/functions-http/shop', { host: '127.0.0.1', origin });
      expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('SOULBOX_ALLOWED_HOSTS') as string]);
    },
  );

  test.each(['http://localhost:5173', 'http://127.0.0.1:8000', `https://8080-${sandboxId}.soulbox.localhost:3443`])(
    'of this host with the origin %s can',
    async (origin) => {
      expect((await at('/functions-http/shop', { host: '127.0.0.1', origin })).status).toBe(200);
    },
  );
});

test('requests from other hosts are not judged: their operator decides who resolves its names', () => {
  const guard = createLocalGuard('soulbox.localhost', []);
  const headers = ['Origin', 'https://evil.example'];
  expect(guard({ authority: 'evil.example', headers, local: false })).toBeUndefined();
  expect(guard({ authority: 'evil.example', headers, local: true })).toMatchObject({ code: 421 });
});

test('an operator can allow every name', () => {
  const guard = createLocalGuard('soulbox.localhost', ['*']);
  expect(guard({ authority: 'evil.example', headers: ['Origin', 'null'], local: true })).toBeUndefined();
});
