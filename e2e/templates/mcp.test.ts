import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { apiUrl } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';

const isMade = await hasTemplate('mcp-gateway');
const mcp = { filesystem: { paths: ['/home/user'] }, memory: {}, sequentialthinking: {} };

describe.skipIf(!isMade)("the clients' mcp option", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await Sandbox.create({ mcp, timeoutMs: 300_000 });
  });
  afterAll(async () => {
    await sandbox.kill();
  });

  /** Uses the shared address of all sandboxes, because the URL of the client needs TLS and host names. */
  async function connect(token: string): Promise<Client> {
    const client = new Client({ name: 'test', version: '1' });
    const headers = {
      authorization: `Bearer ${token}`,
      'e2b-sandbox-id': sandbox.sandboxId,
      'e2b-sandbox-port': '50005',
    };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${apiUrl}/mcp`), { requestInit: { headers } }));
    onTestFinished(async () => {
      await client.close();
    });
    return client;
  }

  test('the URL and token are where the client looks for them', async () => {
    expect(sandbox.getMcpUrl()).toBe(`https://${sandbox.getHost(50005)}/mcp`);
    const later = await Sandbox.connect(sandbox.sandboxId);
    expect(await later.getMcpToken()).toBe(await sandbox.getMcpToken());
    const peek = sandbox.commands.run('cat /etc/mcp-gateway/.token', { user: 'user' });
    await expect(peek).rejects.toThrow('exit status 1');
  });

  test('the servers answer as one', async () => {
    const client = await connect((await sandbox.getMcpToken()) ?? '');
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['write_file', 'create_entities', 'sequentialthinking']));
    expect(new Set(names).size).toBe(names.length);

    const path = '/home/user/by-mcp.txt';
    await client.callTool({ name: 'write_file', arguments: { path, content: 'hello' } });
    expect(await sandbox.files.read(path)).toBe('hello');
    const outside = await client.callTool({ name: 'read_text_file', arguments: { path: '/etc/shadow' } });
    expect(outside.isError).toBe(true);

    const entity = { name: 'SoulBox', entityType: 'platform', observations: ['runs code'] };
    await client.callTool({ name: 'create_entities', arguments: { entities: [entity] } });
    const graph = await client.callTool({ name: 'read_graph', arguments: {} });
    expect(JSON.stringify(graph)).toContain('runs code');
    await expect(client.callTool({ name: 'no_such_tool', arguments: {} })).rejects.toThrow(/no_such_tool/);
  });

  test.each(['', 'wrong', randomUUID()])('the token %j opens nothing', async (token) => {
    await expect(connect(token)).rejects.toThrow(/401|token/i);
  });

  test('the servers continue after a pause', async () => {
    const client = await connect((await sandbox.getMcpToken()) ?? '');
    await client.callTool({ name: 'write_file', arguments: { path: '/home/user/before.txt', content: '1' } });
    await sandbox.pause();
    await sandbox.connect();
    const again = await connect((await sandbox.getMcpToken()) ?? '');
    const read = await again.callTool({ name: 'read_text_file', arguments: { path: '/home/user/before.txt' } });
    expect(JSON.stringify(read)).toContain('"1"');
  });
});

describe.skipIf(!isMade)('a bad mcp option', () => {
  test.each([
    [{ browserbase: { apiKey: 'x' } }, /no MCP server "browserbase"/],
    [{ filesystem: { paths: ['relative'] } }, /filesystem/],
    [{ filesystem: {} }, /filesystem/],
    [{ broken: { runCmd: 'echo no such luck >&2; exit 1' } }, /no such luck/],
    [{ 'github/../x': { runCmd: 'true' } }, /github/],
  ])('%j fails the create, and no sandbox is left', async (option, message) => {
    const metadata = { test: randomUUID() };
    // Names outside the client's catalog are not in its types either.
    const create = Sandbox.create({ mcp: option as never, metadata });
    await expect(create).rejects.toThrow(message);
    expect(await Sandbox.list({ query: { metadata } }).nextItems()).toEqual([]);
  });

  test('a server that is a command of the caller runs beside the others', async () => {
    const runCmd = 'exec node /opt/mcp-gateway/node_modules/@modelcontextprotocol/server-everything/dist/index.js';
    const sandbox = await Sandbox.create({ mcp: { mine: { runCmd }, memory: {} } as never });
    onTestFinished(async () => {
      await sandbox.kill();
    });
    expect(await sandbox.getMcpToken()).not.toBe('');
  });
});
