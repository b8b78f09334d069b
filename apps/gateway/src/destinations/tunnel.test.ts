/** @module-tag violation */
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createContext } from '../context.ts';
import { createHttpServers } from '../listen/http-servers.ts';
import { createRoutes } from '../routes.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';
import { loadConfig } from '@soulbox/base/config';
import { gatewayConfigSchema } from '../config.ts';

let world: TestWorld;
let folder: string;
let socketPath: string;
let cleanup: AsyncDisposableStack;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  world = cleanup.use(await startTestWorld());
  folder = mkdtempSync(join(tmpdir(), 'soulbox-tunnel-'));
  cleanup.defer(async () => await removeTree(folder));
  socketPath = join(folder, 'ssh.sock');
  const config = loadConfig(gatewayConfigSchema, {}, { portClosedRetries: 0 });
  const context = createContext({
    config,
    router: world.router,
    api: { socketPath: join(folder, 'none') },
    logger: silentLogger,
  });
  const servers = createHttpServers(config, createRoutes(context).takeOfSsh);
  const server = createServer({ allowHalfOpen: true }, (socket) => servers.serveHttp1(socket)).listen(socketPath);
  await once(server, 'listening');
  cleanup.defer(async () => {
    server.close();
    await servers.close(0);
    context.sandboxes[Symbol.dispose]();
    await context.envdUses[Symbol.asyncDispose]();
  });
  world.router.add(sandboxId, { accessToken: 'secret', secure: true });
  await world.serveNet(
    8080,
    createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => undefined).pipe(socket)),
  );
});
afterEach(async () => await cleanup.disposeAsync());

async function open(
  host: string,
  token: string | undefined,
  at: object = { socketPath },
  more: Record<string, string> = {},
): Promise<{ readonly status: number; readonly tunnel?: Duplex }> {
  const outgoing = request({
    ...at,
    headers: {
      ...{ host, connection: 'Upgrade', upgrade: 'soulbox-tcp' },
      ...(token === undefined ? {} : { 'x-access-token': token }),
      ...more,
    },
  });
  outgoing.end();
  return await new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('upgrade', (answer: IncomingMessage, tunnel: Duplex) =>
      resolve({ status: answer.statusCode ?? 0, tunnel }),
    );
    outgoing.on('response', (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
  });
}

test('bytes pass in both directions, and a half that ends does not end the other', async () => {
  const { status, tunnel } = await open(`8080-${sandboxId}.ssh`, 'secret');
  expect(status).toBe(101);
  const sent = Buffer.alloc(1_000_000, 'x');
  tunnel?.end(sent);
  let received = 0;
  tunnel?.on('data', (bytes: Buffer) => (received += bytes.length));
  await once(tunnel as Duplex, 'end');
  expect(received).toBe(sent.length);
});

test.each([
  ['without the token of the sandbox', `8080-${sandboxId}.ssh`, undefined, 502],
  ['with another token', `8080-${sandboxId}.ssh`, 'secre', 502],
  ['to another sandbox', '8080-ibbbbbbbbbbbbbbbbbbbb.ssh', 'secret', 502],
  ['to envd', `49983-${sandboxId}.ssh`, 'secret', 404],
  ['to a port on which nothing listens', `8081-${sandboxId}.ssh`, 'secret', 502],
  ['to no sandbox', 'localhost', 'secret', 400],
])('a tunnel %s is refused', async (_what, host, token, status) => {
  expect((await open(host, token)).status).toBe(status);
});

test('clients of the gateway cannot open a tunnel', async () => {
  const answer = await open(`8080-${sandboxId}.soulbox.localhost`, 'secret', {
    host: '127.0.0.1',
    port: world.gateway.port,
  }).catch((error: unknown) => error);
  // The request went to the service itself, which speaks no HTTP.
  expect((answer as { tunnel?: Duplex }).tunnel).toBeUndefined();
});

test('a port that a tunnel keeps private is closed to clients of the gateway as long as the tunnel lasts', async () => {
  await world.serve(8081, (_request, response) => response.end('served'));
  const ask = async (port: number): Promise<number | undefined> => {
    const asked = request({ socketPath, headers: { host: `${String(port)}-${sandboxId}.soulbox.localhost` } }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    return answer.statusCode;
  };
  expect(await ask(8081)).toBe(200);
  const keep = async (port: string): Promise<Duplex | undefined> =>
    (await open(`8080-${sandboxId}.ssh`, 'secret', { socketPath }, { 'x-soulbox-private-port': port })).tunnel;
  const [one, two, ofEnvd, wrong] = await Promise.all(['8081', '8081', '49983', '8e9'].map(keep));
  expect(await ask(8081)).toBe(502);
  expect((await open(`8081-${sandboxId}.ssh`, 'secret')).status).toBe(101);
  one?.destroy();
  ofEnvd?.destroy();
  wrong?.destroy();
  await sleep(100);
  expect(await ask(8081)).toBe(502);
  two?.destroy();
  await expect.poll(async () => await ask(8081)).toBe(200);
});
