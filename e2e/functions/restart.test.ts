import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skipWithout } from '../harness/needs.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const isMade = await hasTemplate('edge');
const instance = ownInstance();

const source = `
let count = 0;
export default {
  async fetch(request, env) {
    count += 1;
    if (new URL(request.url).pathname === '/kv') {
      await env.STORE.put('key', String(Number(await env.STORE.get('key')) + 1));
      return new Response(await env.STORE.get('key'));
    }
    return new Response(count + ' ' + env.TOKEN);
  },
};`;

interface Answer {
  readonly status: number;
  readonly text: string;
}

// This file has its own server, because the tests kill it.
describe.skipIf(!isMade)('a function survives', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ instance, poolSize: 1, environment: { SOULBOX_ISOLATION: shared.isolation } });
    const request = { name: 'lasting', source, secrets: { TOKEN: 'kept' }, kv: { STORE: 'lasting' } };
    expect((await api('POST', '/functions', request)).status).toBe(201);
  });
  afterAll(async () => {
    await api('DELETE', '/functions/lasting');
    await server.stop();
    expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
    await removeTree(server.dataDirectory);
  });

  async function api(method: string, path: string, body?: object): Promise<Answer> {
    const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
    const response = await fetch(url + path, {
      method,
      headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }
  const ask = async (path = '/'): Promise<string> => (await api('GET', `/functions-http/lasting${path}`)).text;

  /** Processes inside the function's sandbox are found on the host by their command line. */
  async function findProcesses(word: string): Promise<number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(
      pids.map(async (pid) => {
        const [command, group] = await Promise.all(
          ['cmdline', 'cgroup'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
        );
        const isOurs = command?.includes(word) === true && group?.includes(`/soulbox-${instance}/`) === true;
        return isOurs ? [Number(pid)] : [];
      }),
    );
    return found.flat();
  }

  test('the death of the server, with its memory, its secrets and its key-value link', async () => {
    expect(await ask()).toBe('1 kept');
    expect(await ask('/kv')).toBe('1');
    await server.kill9();
    await server.restart();
    expect(await ask()).toBe('3 kept');
    expect(await ask('/kv')).toBe('2');
    await until('the log of before', async () =>
      (await api('GET', '/functions/lasting/logs')).text.includes('GET /kv 200'),
    );
  });

  test('the death of its engine and of its supervisor', async (context) => {
    // Processes inside gVisor are not processes of the host.
    if (shared.isolation === 'gvisor') context.skip('processes inside gVisor cannot be killed from the host');
    const [engine = 0] = await findProcesses('soulbox-function');
    process.kill(engine, 'SIGKILL');
    await until('an answer of the next engine', async () => (await ask()) === '1 kept');
    const [supervisor = 0] = await findProcesses('edge-worker.mjs');
    process.kill(supervisor, 'SIGKILL');
    await until('an answer of the next sandbox', async () => (await ask()) === '1 kept', 20_000);
    expect(await ask('/kv')).toBe('3');
  });

  test('the loss of its saved memory: it starts afresh', async (context) => {
    skipWithout('checkpoint', context);
    const { sandboxID } = JSON.parse((await api('GET', '/functions/lasting')).text) as { sandboxID: string };
    await ask();
    expect((await api('POST', `/sandboxes/${sandboxID}/pause`)).status).toBe(204);
    const states = join(server.dataDirectory, 'states');
    for (const state of await readdir(states)) await writeFile(join(states, state, 'manifest.json'), '{}');
    await until('an answer of the next sandbox', async () => (await ask()) === '1 kept', 20_000);
  });

  test('a stop during a deployment: its leftovers are ended at the next start', async () => {
    const sandboxes = async (): Promise<number> =>
      (JSON.parse((await api('GET', '/v2/sandboxes')).text) as unknown[]).length;
    const before = await sandboxes();
    const deploying = api('POST', '/functions/lasting/versions', { source: 'for (;;);' }).catch(() => undefined);
    await until('a second sandbox', async () => (await sandboxes()) > before);
    await server.kill9();
    await deploying;
    await server.restart();
    await until('its end', async () => (await sandboxes()) === before);
    expect(await ask()).toMatch(/^\d+ kept$/);
  });
});
