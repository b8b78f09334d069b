import { execFileSync } from 'node:child_process';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { Secret } from '@soulbox/base';
import { expect, onTestFinished, test } from 'vitest';
import { agentPrograms } from '../commands/mcp/client-configs.ts';
import { runCli } from '../testing/run-cli.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';
import type { ScriptedAnswer, ScriptedApi } from '../testing/scripted-api.ts';
import { serveHttp } from './serve-http.ts';

// Real sandboxes behind the tools are in e2e/clients/mcp.test.ts.

const known: ScriptedAnswer = { status: 200, body: [] };
const unknown: ScriptedAnswer = { status: 401, body: { code: 401, message: 'The API key is not valid.' } };

async function serveWith(answers: readonly ScriptedAnswer[]): Promise<{ url: URL; api: ScriptedApi }> {
  const api = await startScriptedApi(answers);
  const url = api.environment['E2B_API_URL']?.replace(/\/$/, '') ?? '';
  const connection = { url, key: new Secret('e2b_of_the_server'), sandboxUrl: () => url };
  const server = await serveHttp({ api: connection, host: '127.0.0.1', port: 0, version: '0.0.0' });
  onTestFinished(async () => {
    await server.close();
    await api[Symbol.asyncDispose]();
  });
  return { url: new URL(`http://127.0.0.1:${server.port}/mcp`), api };
}

async function connect(url: URL, token: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  onTestFinished(async () => await client.close());
  return client;
}

const entry = { command: 'soulbox', args: ['mcp'], env: { E2B_API_URL: 'http://host', E2B_API_KEY: 'k"ey' } };

const textOf = (result: unknown): string => {
  const [first] = (result as CallToolResult).content;
  return first?.type === 'text' ? first.text : '';
};

test('over HTTP, every call is made with the key of the client, never with that of the server', async () => {
  const { url, api } = await serveWith([known, known]);
  const client = await connect(url, 'e2b_of_the_client');
  expect(textOf(await client.callTool({ name: 'sandbox_list', arguments: {} }))).toBe(
    '{"sandboxes":[],"hasMore":false}',
  );
  expect(api.seen.map(({ key }) => key)).toEqual(['e2b_of_the_client', 'e2b_of_the_client']);
});

test('over HTTP, a client without a valid key gets no session, and nobody uses the session of another key', async () => {
  const { url } = await serveWith([unknown, known, known]);
  await expect(connect(url, 'e2b_wrong')).rejects.toThrow(/bearer token is missing or wrong/);
  expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401);
  const client = await connect(url, 'e2b_of_one');
  const sessionId = (client.transport as StreamableHTTPClientTransport).sessionId ?? '';
  expect(sessionId).not.toBe('');
  const headers = { authorization: 'Bearer e2b_of_another', 'mcp-session-id': sessionId };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
  expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(401);
});

test('over HTTP, no session is opened while the API does not say whether the key is valid', async () => {
  const { url } = await serveWith([{ status: 429, body: { code: 429, message: 'Too many attempts.' } }]);
  await expect(connect(url, 'e2b_of_the_client')).rejects.toThrow(/SoulBox does not respond/);
});

test('errors of the API and wrong arguments are results that say what to do', async () => {
  const notFound = { status: 404, body: { code: 404, message: 'Sandbox "x" was not found.' } };
  const paused = { status: 200, body: { state: 'paused', lifecycle: { autoResume: false } } };
  const { url, api } = await serveWith([known, notFound, paused]);
  const client = await connect(url, 'e2b_of_the_client');
  const call = async (name: string, args: Record<string, unknown>): Promise<unknown> =>
    await client.callTool({ name, arguments: args });
  const missing = await call('sandbox_info', { sandboxId: '../teams' });
  expect(missing).toMatchObject({ isError: true });
  expect(textOf(missing)).toBe('Sandbox "x" was not found. (http_404)');
  expect(api.seen.at(-1)?.line).toBe('GET /sandboxes/..%2Fteams');
  const asleep = await call('command_run', { sandboxId: 'x', command: 'true' });
  expect(textOf(asleep)).toContain('is paused. Call sandbox_resume first.');
  for (const [name, args] of [
    ['sandbox_create', { timeoutSeconds: 0 }],
    ['command_run', { sandboxId: 'x' }],
    ['command_run', { sandboxId: 'x', command: 'true', comand: 'typo' }],
    ['sandbox_fork', { sandboxId: 'x', count: 1000 }],
    ['file_write', { sandboxId: 'x', path: 'p', content: 'not base64!', encoding: 'base64' }],
  ] as const) {
    const refused = await call(name, args);
    expect([name, (refused as CallToolResult).isError]).toEqual([name, true]);
  }
  expect(api.seen).toHaveLength(3);
});

test('every tool says what it does, and marks what destroys', async () => {
  const { url } = await serveWith([known]);
  const { tools } = await (await connect(url, 'e2b_of_the_client')).listTools();
  expect(tools.map(({ name }) => name).toSorted()).toEqual([
    ...['code_run', 'command_run', 'file_edit', 'file_list', 'file_read', 'file_remove', 'file_write', 'port_url'],
    ...['sandbox_create', 'sandbox_fork', 'sandbox_info', 'sandbox_kill', 'sandbox_list', 'sandbox_pause'],
    ...['sandbox_resume', 'snapshot_create', 'snapshot_delete', 'snapshot_list'],
  ]);
  for (const { name, description, inputSchema, annotations } of tools) {
    expect([name, (description ?? '').length > 40]).toEqual([name, true]);
    expect([name, inputSchema.type]).toEqual([name, 'object']);
    expect([name, typeof annotations?.destructiveHint]).toEqual([name, 'boolean']);
  }
  expect(tools.filter(({ annotations }) => annotations?.destructiveHint).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['sandbox_kill', 'snapshot_delete', 'file_remove', 'file_write', 'command_run']),
  );
});

test('install prints lines that the program reads, with the key only on request', async () => {
  const environment = { E2B_API_URL: 'http://127.0.0.1:49980', E2B_API_KEY: 'e2b_0123456789' };
  const shown = await runCli(['mcp', 'install', 'cursor', '--show-key'], environment);
  expect(JSON.parse(shown.stdout)).toEqual({
    mcpServers: { soulbox: { command: 'soulbox', args: ['mcp'], env: environment } },
  });
  const hidden = await runCli(['mcp', 'install', 'codex'], environment);
  expect(hidden.stdout).toBe(
    [
      ...['[mcp_servers.soulbox]', 'command = "soulbox"', 'args = ["mcp"]', '', '[mcp_servers.soulbox.env]'],
      ...['E2B_API_URL = "http://127.0.0.1:49980"', 'E2B_API_KEY = "YOUR_API_KEY"', ''],
    ].join('\n'),
  );
});

test.each(Object.entries(agentPrograms))(
  'the lines for %s start this server with address and key',
  (name, { render }) => {
    const text = render(entry);
    if (name === 'codex') {
      // Debian's Python reads TOML.
      const code = 'import json, sys, tomllib; print(json.dumps(tomllib.load(sys.stdin.buffer)))';
      const read = execFileSync('python3', ['-c', code], { input: text, encoding: 'utf8' });
      expect(JSON.parse(read)).toEqual({ mcp_servers: { soulbox: entry } });
    } else if (name === 'vscode')
      expect(JSON.parse(text)).toEqual({ servers: { soulbox: { type: 'stdio', ...entry } } });
    else expect(JSON.parse(text)).toEqual({ mcpServers: { soulbox: entry } });
  },
);

test.each([
  [['install', 'emacs'], /install needs one of claude-code, .*not "emacs"/],
  [['install'], /install needs one of claude-code, .*not ""/],
  [['serve'], /"serve" is not install/],
  [['--http', 'nowhere:70000'], /--http must be PORT or HOST:PORT/],
  [['--http', '1', 'install', 'cursor'], /install excludes --http/],
  [['--show-key'], /--show-key needs install/],
])('%j is refused as a usage error', async (args, message) => {
  const { code, stderr } = await runCli(['mcp', ...args]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});
