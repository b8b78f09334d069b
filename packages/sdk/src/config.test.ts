import { beforeEach, expect, test, vi } from 'vitest';
import { connectionFrom, requestSignal, withOptions } from './config.ts';
import type { Connection } from './config.ts';
import { openEnvd } from './envd.ts';
import { Sandbox } from './sandboxes/handle.ts';
import { startServer } from './testing/start-server.ts';

const names = ['E2B_API_KEY', 'E2B_API_URL', 'E2B_DOMAIN', 'E2B_SANDBOX_URL'];
beforeEach(() => {
  for (const name of names) vi.stubEnv(name, '');
});

const access = { sandboxId: 'i1', sandboxDomain: undefined, envdAccessToken: 't', trafficAccessToken: undefined };
const urlsOf = (connection: Connection, sandboxDomain?: string): readonly string[] => [
  connection.apiUrl,
  openEnvd(connection, { ...access, sandboxDomain }).url,
];

test('calls of a handle go to the API, and not to the URL of the traffic', async () => {
  await using api = await startServer(() => ({ status: 204 }));
  await using traffic = await startServer(() => ({ status: 204 }));
  vi.stubEnv('E2B_API_URL', api.url);
  const connection = { apiKey: 'key', sandboxUrl: traffic.url };
  const handle = new Sandbox({ ...connection, sandboxId: 'i1' });
  expect(await handle.kill()).toBe(true);
  expect(await handle.isRunning()).toBe(true);
  expect(api.seen.map(({ line }) => line)).toEqual(['DELETE /sandboxes/i1']);
  expect(traffic.seen.map(({ line, headers }) => [line, headers['x-api-key']])).toEqual([['GET /health', undefined]]);
});

test('a handle that knows only the URL of the traffic reaches its sandbox, and other calls need an API', async () => {
  await using traffic = await startServer(() => ({ status: 204 }));
  const handle = new Sandbox({ sandboxId: 'i1', sandboxUrl: traffic.url });
  expect(await handle.isRunning()).toBe(true);
  await expect(Sandbox.kill('i1', { apiKey: 'key', sandboxUrl: traffic.url })).rejects.toMatchObject({
    reason: 'config_invalid',
  });
});

test('variables of a server do not apply to another one that the options name', () => {
  vi.stubEnv('E2B_API_URL', 'https://api.one');
  vi.stubEnv('E2B_DOMAIN', 'one');
  vi.stubEnv('E2B_SANDBOX_URL', 'https://traffic.one');
  expect(urlsOf(connectionFrom())).toEqual(['https://api.one', 'https://traffic.one']);
  const byDomain = connectionFrom({ domain: 'two' });
  expect(urlsOf(byDomain, byDomain.domain)).toEqual(['https://api.two', 'https://49983-i1.two']);
  const byUrl = connectionFrom({ apiUrl: 'https://api.two' });
  expect(urlsOf(byUrl, byUrl.domain)).toEqual(['https://api.two', 'https://api.two']);
});

test('a handle with other options keeps the server that its sandbox names', () => {
  const connection = connectionFrom({}, { domain: 'one' });
  expect(connection.apiUrl).toBe('https://api.one');
  expect(withOptions(connection, { retries: 0 }).apiUrl).toBe('https://api.one');
});

test('times that timers cannot keep are refused, wherever they are given', () => {
  const connection = connectionFrom({ apiUrl: 'http://x' });
  for (const requestTimeoutMs of [-1, NaN, Infinity, 2 ** 31]) {
    const refused = expect.objectContaining({ reason: 'config_invalid' }) as Error;
    expect(() => connectionFrom({ apiUrl: 'http://x', requestTimeoutMs })).toThrow(refused);
    expect(() => withOptions(connection, { requestTimeoutMs })).toThrow(refused);
    expect(() => requestSignal(connection, { requestTimeoutMs })).toThrow(refused);
  }
  expect(requestSignal(connection, { requestTimeoutMs: 0.5 })).toBeInstanceOf(AbortSignal);
  expect(requestSignal(connection, { requestTimeoutMs: 0 })).toBe(undefined);
  expect(requestSignal(withOptions(connection, { requestTimeoutMs: 0 }))).toBe(undefined);
});
