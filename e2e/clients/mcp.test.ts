import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { server } from '../harness/server.ts';

// The official client of the protocol starts our program, as agent programs do.
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
let client: Client;

beforeAll(async () => {
  client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ['--conditions=soulbox-source', cliMain, 'mcp'],
      env: { ...server.plain, PATH: process.env['PATH'] ?? '' },
      stderr: 'inherit',
    }),
  );
});
afterAll(async () => await client.close());

async function call(name: string, args: Record<string, unknown>): Promise<CallToolResult> {
  return (await client.callTool({ name, arguments: args })) as CallToolResult;
}

async function value(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
  const { structuredContent, isError, content } = await call(name, args);
  expect([name, isError ?? false, isError === true ? content : []]).toEqual([name, false, []]);
  return structuredContent ?? {};
}

async function createSandbox(args: Record<string, unknown> = {}): Promise<string> {
  const { sandboxId } = await value('sandbox_create', args);
  onTestFinished(async () => {
    await call('sandbox_kill', { sandboxId });
  });
  return String(sandboxId);
}

test('an agent creates a sandbox, runs commands and code, and works with files', async () => {
  const sandboxId = await createSandbox({ metadata: { purpose: 'mcp' }, envs: { GREETING: 'hello' } });
  const { sandboxes } = await value('sandbox_list', { state: 'running' });
  expect(sandboxes).toContainEqual(expect.objectContaining({ sandboxId, metadata: { purpose: 'mcp' } }));

  const ran = await call('command_run', {
    sandboxId,
    command: 'cat; echo $GREETING; echo oops >&2; exit 3',
    stdin: 'in ',
  });
  expect(ran.structuredContent).toEqual({
    exitCode: 3,
    status: 'exit status 3',
    stdout: 'in hello\n',
    stderr: 'oops\n',
  });
  expect(ran.content).toEqual([{ type: 'text', text: '[exit status 3]\nin hello\n\n[stderr]\noops\n' }]);

  expect(await value('code_run', { sandboxId, language: 'python', code: 'print(6 * 7)' })).toMatchObject({
    exitCode: 0,
    stdout: '42\n',
  });

  await value('file_write', { sandboxId, path: 'notes/a.txt', content: 'one two' });
  await value('file_edit', { sandboxId, path: 'notes/a.txt', oldText: 'two', newText: 'zwei' });
  expect(await value('file_read', { sandboxId, path: 'notes/a.txt' })).toMatchObject({
    content: 'one zwei',
    isCut: false,
  });
  const bytes = Buffer.from([0, 255, 254, 1]);
  await value('file_write', { sandboxId, path: 'notes/b.bin', content: bytes.toString('base64'), encoding: 'base64' });
  expect(await value('file_read', { sandboxId, path: 'notes/b.bin' })).toMatchObject({
    encoding: 'base64',
    content: bytes.toString('base64'),
  });
  expect(await value('file_list', { sandboxId, path: 'notes' })).toMatchObject({ entries: ['a.txt', 'b.bin'] });
  await value('file_remove', { sandboxId, path: 'notes/b.bin' });
  expect(await value('file_list', { sandboxId, path: 'notes' })).toMatchObject({ entries: ['a.txt'] });
  for (const [args, text] of [
    [{ path: 'notes/a.txt', oldText: 'three', newText: '' }, 'is not in notes/a.txt'],
    [{ path: 'notes/none', oldText: 'x', newText: '' }, 'does not exist'],
  ] as const) {
    const refused = await call('file_edit', { sandboxId, ...args });
    expect(refused).toMatchObject({ isError: true });
    expect(JSON.stringify(refused.content)).toContain(text);
  }
});

test('long output is cut in the middle, and a command is killed at its time limit', async () => {
  const sandboxId = await createSandbox();
  const long = await value('command_run', { sandboxId, command: 'seq 1 1000000', maxOutputBytes: 1024 });
  expect(String(long['stdout'])).toMatch(/^1\n2\n[^]*bytes left out[^]*\n1000000\n$/);
  const slow = await call('command_run', { sandboxId, command: 'echo begun; sleep 60', timeoutSeconds: 1 });
  expect(slow.structuredContent).toMatchObject({ exitCode: -1, status: 'killed after 1 s', stdout: 'begun\n' });
});

test('a server in the background is reached by its signed URL', async () => {
  const sandboxId = await createSandbox();
  const command = 'cd /tmp && echo from inside > index.html && exec python3 -m http.server 8000 > log 2>&1';
  await value('command_run', { sandboxId, command, background: true });
  const { url } = await value('port_url', { sandboxId, port: 8000 });
  const response = await fetch(String(url));
  expect([response.status, await response.text()]).toEqual([200, 'from inside\n']);
});

test('a state is forked, paused, resumed and kept as a snapshot', async () => {
  const sandboxId = await createSandbox();
  await value('file_write', { sandboxId, path: 'state', content: 'base' });
  const { sandboxIds } = await value('sandbox_fork', { sandboxId, count: 2 });
  const [first, second] = sandboxIds as string[];
  onTestFinished(async () => {
    await call('sandbox_kill', { sandboxId: first });
    await call('sandbox_kill', { sandboxId: second });
  });
  await value('file_write', { sandboxId: first, path: 'state', content: 'changed' });
  expect(await value('file_read', { sandboxId: second, path: 'state' })).toMatchObject({ content: 'base' });

  await value('sandbox_pause', { sandboxId });
  const asleep = await call('command_run', { sandboxId, command: 'true' });
  expect(JSON.stringify(asleep)).toContain('Call sandbox_resume first');
  await value('sandbox_resume', { sandboxId });
  expect(await value('sandbox_info', { sandboxId })).toMatchObject({ state: 'running' });

  const { snapshotId } = await value('snapshot_create', { sandboxId: first });
  const again = await createSandbox({ template: snapshotId });
  expect(await value('file_read', { sandboxId: again, path: 'state' })).toMatchObject({ content: 'changed' });
  const { snapshots } = await value('snapshot_list', {});
  expect(snapshots).toContainEqual(expect.objectContaining({ snapshotId }));
  await value('snapshot_delete', { snapshotId });
});

test('over HTTP, the client brings its own key, and the server itself needs none', async () => {
  const { E2B_API_KEY: key = '', ...without } = server.plain;
  const program = spawn(process.execPath, ['--conditions=soulbox-source', cliMain, 'mcp', '--http', '0'], {
    env: { ...without, E2B_API_KEY: 'e2b_0000000000000000000000000000000000000000', PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    const ended = once(program, 'exit');
    program.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
  const { value: url = '' } = (await createInterface({ input: program.stdout })[Symbol.asyncIterator]().next()) as {
    value?: string;
  };
  const remote = new Client({ name: 'test', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await remote.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  const ask = async (name: string, args: Record<string, unknown>): Promise<CallToolResult> =>
    (await remote.callTool({ name, arguments: args })) as CallToolResult;
  const created = await ask('sandbox_create', {});
  const { sandboxId } = created.structuredContent as { sandboxId: string };
  const ran = await ask('command_run', { sandboxId, command: 'echo over HTTP' });
  expect(ran.structuredContent).toMatchObject({ exitCode: 0, stdout: 'over HTTP\n' });
  await ask('sandbox_kill', { sandboxId });
  await remote.close();
});
