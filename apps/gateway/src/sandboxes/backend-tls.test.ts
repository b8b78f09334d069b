import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import { createServer } from 'node:https';
import { createServer as createNetServer } from 'node:net';
import type { Server } from 'node:net';
import { createAuthority } from '@soulbox/certificates';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { ask, askHttp2 } from '../testing/http-client.ts';
import { sandboxId as plainId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';
import { startBackendTls } from './backend-tls.ts';

const sandboxId = 'ibbbbbbbbbbbbbbbbbbbb';
let world: TestWorld;
/** Signed by nobody that anyone trusts, and expired. */
let credentials: { cert: string; key: string };

beforeEach(async () => {
  world = await startTestWorld({ config: { portClosedRetryDelayMs: 1 } });
  world.router.add(sandboxId, { httpsPorts: [8443, 9443, 49983] });
  const notAfter = new Date(Date.now() - 1000);
  const { certPem: cert, keyPem: key } = await createAuthority({
    ...{ commonName: 'nobody', notBefore: new Date(0), notAfter },
  });
  credentials = { cert, key };
});
afterEach(async () => await world[Symbol.asyncDispose]());

const serve = async (port: number, server: Server, id = sandboxId): Promise<number> =>
  await world.serveNet(port, server, { sandboxId: id });
const hostOf = (port: number, id = sandboxId): string => world.urlOf(port).host.replace(plainId, id);
const get = async (port: number, id = sandboxId) =>
  await ask(`http://127.0.0.1:${world.gateway.port}/a?b=c`, { headers: { host: hostOf(port, id) } });
const echo = () =>
  createServer(credentials, (request, response) => response.end(`${request.url ?? ''} ${request.headers.host ?? ''}`));

test('a port that speaks TLS is reached with TLS, whatever its certificate, and other ports without', async () => {
  await serve(8443, echo());
  expect(await get(8443)).toMatchObject({ status: 200, body: `/a?b=c ${hostOf(8443)}` });
  await serve(8444, echo());
  expect((await get(8444)).status).not.toBe(200);
  // Another sandbox has not named the port.
  await serve(8443, echo(), plainId);
  expect((await get(8443, plainId)).status).not.toBe(200);
});

test('one connection serves several requests', async () => {
  const server = echo();
  let connections = 0;
  server.on('secureConnection', () => (connections += 1));
  await serve(8443, server);
  for (let turn = 0; turn < 3; turn += 1) expect((await get(8443)).status).toBe(200);
  expect(connections).toBe(1);
});

test('WebSockets and gRPC pass', async () => {
  const server = echo();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  await serve(8443, server);
  const socket = new WebSocket(`ws://127.0.0.1:${world.gateway.port}/`, { headers: { host: hostOf(8443) } });
  await once(socket, 'open');
  socket.send('over TLS');
  const [message] = (await once(socket, 'message')) as [Buffer];
  expect(message.toString()).toBe('over TLS');
  socket.terminate();
  for (const client of sockets.clients) client.terminate();

  const grpc = createSecureServer({ ...credentials, allowHTTP1: false });
  grpc.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-protocol': 'h2' });
    stream.end();
  });
  const sessions: ServerHttp2Session[] = [];
  grpc.on('session', (session) => sessions.push(session));
  await serve(9443, grpc);
  const headers = { ':path': '/s/m', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const answer = await askHttp2(`http://127.0.0.1:${world.gateway.port}`, { ...headers, ':authority': hostOf(9443) });
  expect(answer).toMatchObject({ status: 200, headers: { 'x-protocol': 'h2' } });
  // The gateway would keep it for a while, and the server would wait for that.
  for (const session of sessions) session.destroy();
});

test.each<[string, Parameters<typeof createNetServer>[1]]>([
  [
    'speaks no TLS',
    (socket) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .end('HTTP/1.1 200 OK\r\n\r\n'),
  ],
  ['closes at once', (socket) => void socket.destroy()],
  [
    'resets the handshake',
    (socket) => void socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy()),
  ],
])('a service that %s gives 502', async (_, handle) => {
  await serve(8443, createNetServer(handle));
  expect((await get(8443)).status).toBe(502);
});

test('a port where nothing listens gives the same answer as any other', async () => {
  expect((await get(9443)).body).toBe((await get(9444)).body.replace('9444', '9443'));
});

test('a connection whose sandbox has gone in the handshake is closed', async () => {
  await serve(8443, echo());
  const connection = await world.router.dial(sandboxId, 8443);
  const isGone = (): boolean => true;
  const options = { sandboxId, protocol: 'http/1.1', isGone } as const;
  await expect(startBackendTls(connection, options)).rejects.toMatchObject({ reason: 'sandbox_not_found' });
  expect(connection.destroyed).toBe(true);
});
