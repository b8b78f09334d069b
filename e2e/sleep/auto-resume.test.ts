import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, TimeoutError } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { ask, askApi, routes } from '../harness/http.ts';
import { needs } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

interface LifecycleEvent {
  readonly type: string;
  readonly eventData: { readonly cause: string };
}

/** Causes of the events of one kind, such as `resumed`, oldest first. */
async function causesOf(sandboxId: string, kind: string): Promise<string[]> {
  const { json } = await askApi('GET', `/events/sandboxes/${sandboxId}?limit=100&orderAsc=true`);
  return (json as LifecycleEvent[])
    .filter(({ type }) => type === `sandbox.lifecycle.${kind}`)
    .map(({ eventData }) => eventData.cause);
}

const lifecycle = { onTimeout: 'pause', autoResume: true } as const;

const stateOf = async (sandbox: Sandbox): Promise<string> => (await sandbox.getInfo()).state;

test('a sandbox is paused at its deadline, and a request wakes it and is served', async () => {
  const sandbox = await createSandbox({ timeoutMs: 4000, lifecycle });
  await sandbox.commands.run('cd /tmp; echo hello > hello.txt; setsid -f python3 -m http.server 8000 >/dev/null 2>&1');
  await until('the server inside', async () => {
    return (await ask({ path: '/hello.txt', headers: routes.headers(sandbox.sandboxId, 8000) })).status === 200;
  });
  await until('the pause', async () => (await stateOf(sandbox)) === 'paused', 15_000);
  const answer = await ask({ path: '/hello.txt', headers: routes.host(sandbox.sandboxId, 8000) });
  expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: 'hello\n' });
  expect(await stateOf(sandbox)).toBe('running');
});

test('a command of the client wakes it', async () => {
  const sandbox = await createSandbox({ lifecycle });
  await sandbox.pause();
  expect((await sandbox.commands.run('echo awake')).stdout).toBe('awake\n');
});

test('many requests at once cause one resume, and all are served', async () => {
  const sandbox = await createSandbox({ lifecycle });
  await sandbox.pause();
  const outputs = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => (await sandbox.commands.run(`echo ${String(index)}`)).stdout.trim()),
  );
  expect(outputs).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  expect(await causesOf(sandbox.sandboxId, 'resumed')).toEqual(['traffic']);
});

test('a WebSocket wakes it', async () => {
  const sandbox = await createSandbox({ lifecycle });
  const echo = `
const { createServer } = require('http'); const { createHash } = require('crypto');
createServer().on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  socket.write(Buffer.from([0x81, 5, ...Buffer.from('awake')]));
}).listen(9100, '127.0.0.1');`;
  await sandbox.files.write('echo.js', echo);
  await sandbox.commands.run('node echo.js', { background: true, timeoutMs: 0 });
  await until('it listens', async () => (await sandbox.commands.run('ss -ltn || true')).stdout.includes(':9100'));
  await sandbox.pause();
  const socket = new WebSocket(`ws://127.0.0.1:${String(server.port)}/`, {
    headers: routes.host(sandbox.sandboxId, 9100),
  });
  onTestFinished(() => socket.terminate());
  const word = await new Promise<string>((resolve, reject) => {
    socket.on('message', (data: Buffer) => resolve(data.toString()));
    socket.on('error', reject);
  });
  expect(word).toBe('awake');
});

test('no form of the question whether it runs wakes it; a client asks it when a pause ends its command', async () => {
  const sandbox = await createSandbox({ lifecycle });
  const running = sandbox.commands.run('sleep 100', { timeoutMs: 0 }).catch((error: unknown) => error);
  await until('the command', async () => (await sandbox.commands.list()).length === 1);
  await sandbox.pause();
  expect(await running).toBeInstanceOf(TimeoutError);
  expect(await sandbox.isRunning()).toBe(false);
  const token = { 'x-access-token': (sandbox as unknown as { envdAccessToken: string }).envdAccessToken };
  for (const form of [routes.host(sandbox.sandboxId, 49_983), routes.headers(sandbox.sandboxId, 49_983), {}])
    expect((await ask({ path: '/health', headers: { ...form, ...token } })).status).toBe(502);
  await sleep(1000);
  expect(await stateOf(sandbox)).toBe('paused');
  expect(await causesOf(sandbox.sandboxId, 'resumed')).toEqual([]);
});

test('an unauthorized request does not wake it', async () => {
  const sandbox = await createSandbox({ lifecycle, network: { allowPublicTraffic: false } });
  await sandbox.pause();
  const answer = await ask({ path: '/', headers: routes.headers(sandbox.sandboxId, 8000) });
  expect([401, 403]).toContain(answer.status);
  const hostOnly = await ask({ method: 'POST', path: '/init', headers: routes.headers(sandbox.sandboxId, 49983) });
  expect(hostOnly.status).toBe(404);
  expect(await stateOf(sandbox)).toBe('paused');
});

test('auto-resume without memory is refused, as in E2B', async () => {
  const body = { templateID: 'base', autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } };
  const { status } = await askApi('POST', '/v2/sandboxes', body);
  expect(status).toBe(400);
});

test('an idle sandbox is paused, a busy one is not', { timeout: 90_000 }, async () => {
  const body = { templateID: 'base', timeout: 300, autoPause: true, idleTimeout: 3 };
  const { json } = await askApi('POST', '/v2/sandboxes', body);
  const { sandboxID } = json as { sandboxID: string };
  const sandbox = await Sandbox.connect(sandboxID);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  const busy = await sandbox.commands.run('while :; do :; done', { background: true, timeoutMs: 0 });
  busy.wait().catch(() => undefined);
  await busy.disconnect();
  await sleep(6000);
  expect(await stateOf(sandbox)).toBe('running');
  await sandbox.commands.kill(busy.pid);
  // Not by a question to the sandbox: each costs its envd up to 30 ms of CPU on a host that gives others its processors.
  const paused = async (): Promise<boolean> => {
    await sleep(1000);
    return (await stateOf(sandbox)) === 'paused';
  };
  await until('the pause', paused, 20_000);
  const causes = await until('its event', async () => {
    const told = await causesOf(sandboxID, 'paused');
    return told.length > 0 ? told : undefined;
  });
  expect(causes).toEqual(['idle']);
});
