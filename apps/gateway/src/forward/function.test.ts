import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import type { FunctionRoute } from '@soulbox/contract/function-service';
import { ask } from '../testing/http-client.ts';
import { startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

const sandboxId = 'ifunction';
let world: TestWorld;
let asked: string[];
let open: (name: string) => Promise<FunctionRoute>;

beforeAll(async () => {
  const functions = {
    open: async (name: string) => {
      asked.push(name);
      return await open(name);
    },
  };
  world = await startTestWorld({ functions, config: { portClosedRetryDelayMs: 1 } });
  // Clients without a token cannot access its other ports.
  world.router.add(sandboxId, { trafficToken: 'token', autoResume: true });
  for (const port of [8787, 8786]) {
    await world.serve(
      port,
      (request, response) => {
        response.end(
          JSON.stringify({
            port,
            url: request.url,
            host: request.headers.host,
            forged: request.headers['x-forwarded-for'],
          }),
        );
      },
      { sandboxId },
    );
  }
});
afterAll(async () => await world[Symbol.asyncDispose]());
beforeEach(() => {
  asked = [];
  open = () => Promise.resolve({ sandboxId, port: 8787, leaseMs: 0 });
});

const at = async (path: string, host: string, headers: Record<string, string> = {}) =>
  await ask(`${world.url}${path}`, { headers: { host, ...headers } });

describe('a function', () => {
  test.each([
    ['fn-shop.soulbox.localhost', '/a?b=1', '/a?b=1'],
    ['FN-shop.soulbox.localhost:3000', '/', '/'],
    ['api.soulbox.localhost', '/functions-http/shop/a/b?c', '/a/b?c'],
    ['127.0.0.1', '/functions-http/shop', '/'],
    ['127.0.0.1', '/functions-http/shop?x=1', '/?x=1'],
    ['127.0.0.1', '/functions-http/shop//evil.example/', '//evil.example/'],
  ])('is found at %s%s and sees %s', async (host, path, seen) => {
    const answer = await at(path, host, { 'x-forwarded-for': '6.6.6.6' });
    expect(JSON.parse(answer.body)).toEqual({ port: 8787, url: seen, host, forged: '127.0.0.1' });
    expect(asked).toEqual(['shop']);
  });

  test.each([
    ['fn-shop.example.com', '/'],
    ['fn-shop.evil.soulbox.localhost', '/'],
    ['fn-.soulbox.localhost', '/'],
    [`fn-${'a'.repeat(41)}.soulbox.localhost`, '/'],
    ['127.0.0.1', '/functions-http/'],
    ['127.0.0.1', '/functions-http/Shop/'],
    ['127.0.0.1', '/functions-httpx/shop/'],
    ['127.0.0.1', `/functions-http/${'a'.repeat(41)}/`],
  ])('is not addressed by %s%s', async (host, path) => {
    expect(JSON.parse((await at(path, host)).body)).toMatchObject({ api: true });
    expect(asked).toEqual([]);
  });

  test('opens its own port to strangers, and no other', async () => {
    for (const port of ['8787', '8786'])
      expect((await at('/', '127.0.0.1', { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': port })).status).toBe(403);
  });

  test('is woken by a request', async () => {
    world.router.pause(sandboxId);
    expect((await at('/', 'fn-shop.soulbox.localhost')).status).toBe(200);
    expect(world.router.wakes).toEqual([sandboxId]);
  });

  test('is woken for a request that came just before its pause, whatever the request is', async () => {
    // The gateway has already seen it as paused, and only then learns that it is no longer served.
    world.router.pause(sandboxId, { delayMs: 60 });
    const headers = { host: 'fn-shop.soulbox.localhost' };
    const asked = ask(`${world.url}/late`, { method: 'POST', headers, body: 'body' });
    await delay(20);
    world.router.pause(sandboxId);
    const answer = await asked;
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([200, { url: '/late' }]);
  });

  test.each([
    [new SoulBoxError('function_not_found', 'x'), 404, 'Function "shop" was not found.'],
    [
      new SoulBoxError('function_broken', 'secret of the code'),
      503,
      'Function "shop" cannot be started. See its log for the reason.',
    ],
    [new SoulBoxError('too_many_sandboxes', 'full'), 429, 'Function "shop" cannot be started now: full'],
    [new SoulBoxError('template_being_made', 'soon'), 503, 'Function "shop" cannot be started now: soon'],
    [new Error('secret of the host'), 502, 'Function "shop" cannot be reached. The server log has the details.'],
  ])('that is unavailable is reported without internal details: %s', async (error, code, message) => {
    open = () => Promise.reject(error);
    const answer = await at('/', 'fn-shop.soulbox.localhost');
    expect([answer.status, JSON.parse(answer.body)]).toEqual([code, { code, message }]);
  });

  test('is looked up once while its lease lasts, and again after it, after an error and when it sleeps', async () => {
    const leaseMs = 300;
    open = () => Promise.resolve({ sandboxId, port: 8787, leaseMs });
    const askTwice = async (): Promise<number[]> => {
      const answers = await Promise.all([
        at('/', 'fn-leased.soulbox.localhost'),
        at('/', 'fn-leased.soulbox.localhost'),
      ]);
      return answers.map(({ status }) => status);
    };
    const count = async (): Promise<number> => {
      asked = [];
      await at('/', 'fn-leased.soulbox.localhost');
      expect(await askTwice()).toEqual([200, 200]);
      return asked.length;
    };
    expect(await count()).toBe(1);
    await delay(leaseMs);
    expect(await count()).toBe(1);
    world.router.pause(sandboxId);
    expect(await count()).toBeGreaterThan(0);
    await delay(leaseMs);
    // Nobody listens on this port.
    open = () => Promise.resolve({ sandboxId, port: 1, leaseMs });
    expect((await at('/', 'fn-leased.soulbox.localhost')).status).toBe(502);
    open = () => Promise.resolve({ sandboxId, port: 8787, leaseMs });
    expect(await count()).toBe(1);
  });

  test('whose sandbox has just ended answers 502', async () => {
    open = () => Promise.resolve({ sandboxId: 'igone', port: 8787, leaseMs: 0 });
    expect((await at('/', 'fn-shop.soulbox.localhost')).status).toBe(502);
  });
});
