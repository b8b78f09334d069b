import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { McpHttpServer } from '@soulbox/mcp-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerProgram } from './config.ts';
import { serve } from './serve.ts';
import { startUpstream } from './upstream.ts';
import type { Upstream } from './upstream.ts';

// The servers are real processes, and the client is MCP's own.
const notesServer = fileURLToPath(new URL('testing/notes-server.ts', import.meta.url));
const token = 'the-token-of-the-client';

function program(owner: string): ServerProgram {
  return { name: `notes/${owner}`, command: process.execPath, args: [notesServer], env: { NOTES_OWNER: owner } };
}

let upstreams: Upstream[];
let server: McpHttpServer;
let url: URL;

beforeAll(async () => {
  // Set as the client sets it for the gateway.
  process.env['GATEWAY_ACCESS_TOKEN'] = token;
  upstreams = await Promise.all(['ann', 'bob'].map(async (owner) => await startUpstream(program(owner))));
  server = await serve(upstreams, { token, port: 0, host: '127.0.0.1' });
  url = new URL(`http://127.0.0.1:${String(server.port)}/mcp`);
});

afterAll(async () => {
  delete process.env['GATEWAY_ACCESS_TOKEN'];
  await server.close();
  for (const { client } of upstreams) await client.close();
});

async function connect(): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  const transport = new StreamableHTTPClientTransport(url, { requestInit });
  await client.connect(transport);
  return client;
}

async function post(headers: Record<string, string>, body: string, path = '/mcp'): Promise<Response> {
  return await fetch(new URL(path, url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body,
  });
}

const authorized = { authorization: `Bearer ${token}` };

describe('a client', () => {
  test('sees the tools of all servers; of two with one name, the later has its server’s name as a prefix', async () => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['note', 'only_ann', 'notes_bob_note', 'only_bob']);
    await client.close();
  });

  test('calls the tools of each server, and no server receives the client’s token', async () => {
    const client = await connect();
    const call = async (name: string) => (await client.callTool({ name, arguments: { text: 'hi' } })).content;
    expect(await call('note')).toEqual([{ type: 'text', text: 'ann: hi (token none)' }]);
    expect(await call('notes_bob_note')).toEqual([{ type: 'text', text: 'bob: hi (token none)' }]);
    await client.close();
  });

  test('gets prompts of each server, and resources from any server that can read them', async () => {
    const client = await connect();
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['greet', 'notes_bob_greet']);
    const { messages } = await client.getPrompt({ name: 'notes_bob_greet' });
    expect(messages[0]?.content).toMatchObject({ text: 'Greet bob.' });
    const { contents } = await client.readResource({ uri: 'notes://bob/1' });
    expect(contents).toEqual([{ uri: 'notes://bob/1', text: 'A page of bob' }]);
    await client.close();
  });

  test('gets an error when no server has the requested item', async () => {
    const client = await connect();
    await expect(client.callTool({ name: 'none' })).rejects.toThrow('No server has a tool named "none".');
    await expect(client.getPrompt({ name: 'none' })).rejects.toThrow('No server has a prompt named "none".');
    await client.close();
  });
});

describe('a request is refused', () => {
  test.each([
    ['without a token', {}],
    ['with a wrong token', { authorization: 'Bearer wrong' }],
    ['with the beginning of the token', { authorization: `Bearer ${token.slice(0, -1)}` }],
  ])('%s', async (_what, headers: Record<string, string>) => {
    const response = await post(headers, '{}');
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain(token);
  });

  test('on another path', async () => {
    expect((await post(authorized, '{}', '/other')).status).toBe(404);
  });

  test('with an unknown session or without one', async () => {
    expect((await post({ ...authorized, 'mcp-session-id': 'unknown' }, '{}')).status).toBe(404);
    expect((await fetch(url, { headers: authorized })).status).toBe(400);
  });

  test('with a body that is not JSON, or too large', async () => {
    expect((await post(authorized, '{')).status).toBe(400);
    const large = await post(authorized, JSON.stringify('x'.repeat(32 * 1024 * 1024))).catch(() => undefined);
    // The connection may be closed while the rest of the body is still being sent.
    if (large !== undefined) expect(large.status).toBe(413);
    expect((await post({}, '{}')).status).toBe(401);
  });
});

test('a program that is not an MCP server is named, with its last output', async () => {
  const broken = { ...program('eve'), args: ['-e', 'console.error("no such notes"); process.exit(3)'] };
  await expect(startUpstream(broken)).rejects.toThrow('The MCP server "notes/eve" did not start: no such notes');
});
