import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { serveMcp } from './serve-mcp.ts';
import type { McpHttpServer } from './serve-mcp.ts';

let server: McpHttpServer;
beforeEach(async () => {
  server = await serveMcp({
    ...{ host: '127.0.0.1', port: 0, path: '/mcp', sessionsPerToken: 32, faultText: 'It failed.' },
    accepts: () => true,
    openSession: async (_token, transport) =>
      await new McpServer({ name: 'test', version: '1.0.0' }).connect(transport),
    onFault: (error) => expect.unreachable(String(error)),
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

async function post(token: string, message: object, session?: string): Promise<Response> {
  return await fetch(`http://127.0.0.1:${server.port}/mcp`, {
    method: 'POST',
    headers: {
      ...{ authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream' },
      'content-type': 'application/json',
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
}

/** Returns the id of the session, or the status of the refusal. */
async function open(token: string): Promise<string | number> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const response = await post(token, { id: 1, method: 'initialize', params });
  await response.text();
  return response.headers.get('mcp-session-id') ?? response.status;
}

async function isOpen(token: string, session: string | number): Promise<boolean> {
  const response = await post(token, { method: 'notifications/initialized' }, String(session));
  await response.text();
  return response.status === 202;
}

async function openMany(token: string, count: number): Promise<(string | number)[]> {
  const opened: (string | number)[] = [];
  for (let left = count; left > 0; left -= 1) opened.push(await open(token));
  return opened;
}

test('a token that opens too many sessions loses its own oldest one', async () => {
  const other = await open('other');
  const sessions = await openMany('one', 33);
  expect(await Promise.all(sessions.slice(0, 3).map(async (id) => await isOpen('one', id)))).toEqual([
    false,
    true,
    true,
  ]);
  expect(await isOpen('other', other)).toBe(true);
});

test('a full server refuses new sessions, and closes only those that nobody used for an hour', async () => {
  const first = await open('first');
  const many = await Promise.all(Array.from({ length: 9 }, async (_, n) => await openMany(`token-${n}`, 30)));
  expect(many.flat().filter((opened) => typeof opened === 'string')).toHaveLength(255);
  expect(new Set(many.flat().filter((opened) => typeof opened === 'number'))).toEqual(new Set([503]));
  expect(await isOpen('first', first)).toBe(true);

  const now = performance.now() + 3_000_000;
  vi.spyOn(performance, 'now').mockReturnValue(now);
  expect(await isOpen('first', first)).toBe(true);
  expect(await open('late')).toBe(503);
  vi.spyOn(performance, 'now').mockReturnValue(now + 1_200_000);
  expect(await open('late')).toBeTypeOf('string');
  expect(await isOpen('first', first)).toBe(true);
  expect(await isOpen('token-0', many[0]?.[0] ?? '')).toBe(false);
});
