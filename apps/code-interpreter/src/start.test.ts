import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isThere } from '@soulbox/testing/is-there';
import { readConfig } from './config.ts';
import type { CodeInterpreter } from './start.ts';
import { startCodeInterpreter } from './start.ts';

const python = '/usr/bin/python3';
const hasPython = isThere('python3-ipykernel', spawnSync(python, ['-c', 'import ipykernel']).status === 0);

type Line = Readonly<Record<string, unknown>>;

describe.skipIf(!hasPython)('the server', () => {
  // Envd's response to GET /envs; the token is the client's.
  const envd = createServer((request, response) => {
    const isAllowed = request.url === '/envs' && request.headers['x-access-token'] === 'token';
    response.writeHead(isAllowed ? 200 : 401).end(isAllowed ? '{"GLOBAL":"g"}' : '{}');
  });
  let server: CodeInterpreter;
  let url: string;
  beforeAll(async () => {
    envd.listen(0, '127.0.0.1');
    await once(envd, 'listening');
    const envdUrl = `http://127.0.0.1:${(envd.address() as AddressInfo).port}`;
    const args = ['--port', '0', '--home', '/tmp', '--envd-url', envdUrl];
    server = await startCodeInterpreter(readConfig(args, join(import.meta.dirname, 'main.ts')));
    url = `http://127.0.0.1:${server.port}`;
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    envd.close();
  });

  const post = async (path: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
    await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers });
  const execute = async (body: object, headers: Record<string, string> = {}): Promise<Line[]> => {
    const text = await (await post('/execute', body, headers)).text();
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  };

  test('is healthy and has two contexts from the start', async () => {
    expect(await (await fetch(`${url}/health`)).json()).toBe('OK');
    const contexts = (await (await fetch(`${url}/contexts`)).json()) as { language: string; cwd: string }[];
    expect(contexts.map(({ language, cwd }) => `${language} ${cwd}`).toSorted()).toEqual([
      'javascript /tmp',
      'python /tmp',
    ]);
  });

  test('streams outputs, with the number first and the end last', async () => {
    expect(await execute({ code: 'print("ü"); {"a": 1}' })).toMatchObject([
      { type: 'number_of_executions', execution_count: 1 },
      { type: 'stdout', text: 'ü\n' },
      { type: 'result', text: "{'a': 1}", json: { a: 1 }, is_main_result: true },
      { type: 'end_of_execution' },
    ]);
  });

  test("asks envd for the sandbox's variables with the client's token, once for each context", async () => {
    const { id } = (await (await post('/contexts', { language: 'js' })).json()) as { id: string };
    const code = 'console.log(process.env.GLOBAL)';
    const body = { code, context_id: id };
    expect(await execute(body, { 'x-access-token': 'token' })).toContainEqual(
      expect.objectContaining({ type: 'stdout', text: 'g\n' }),
    );
    expect(await execute(body)).toContainEqual(expect.objectContaining({ text: 'g\n' }));
    expect((await fetch(`${url}/contexts/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(`${url}/contexts/${id}`, { method: 'DELETE' })).status).toBe(404);
  });

  test('interrupts code when its client disconnects', async () => {
    const gone = new AbortController();
    const body = JSON.stringify({ code: 'while (true) {}', language: 'js' });
    await fetch(`${url}/execute`, { method: 'POST', body, signal: gone.signal });
    gone.abort();
    expect(await execute({ code: '"next"', language: 'js' })).toContainEqual(expect.objectContaining({ text: 'next' }));
  });

  test('refuses executions above the queue limit and continues afterwards', async () => {
    const { id } = (await (await post('/contexts', { language: 'js' })).json()) as { id: string };
    const slow = 'await new Promise((resolve) => setTimeout(resolve, 30))';
    const all = await Promise.all(
      Array.from({ length: 40 }, async () => await execute({ code: slow, context_id: id }).catch(() => [])),
    );
    const refused = all.filter((lines) => lines.some(({ name }) => name === 'ExecutionAborted'));
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(40);
    expect(await execute({ code: '1', context_id: id })).toContainEqual(expect.objectContaining({ text: '1' }));
  });

  test('reports a kernel that ends and restarts its context', async () => {
    const lines = await execute({ code: 'import os; os._exit(4)' });
    expect(lines).toContainEqual(expect.objectContaining({ type: 'error', name: 'UnexpectedEndOfExecution' }));
    expect(JSON.stringify(lines)).toContain('exited with 4');
    expect(await execute({ code: '"anew"' })).toContainEqual(expect.objectContaining({ text: 'anew' }));
  });
});
