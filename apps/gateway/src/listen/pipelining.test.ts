import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask, askRaw } from '../testing/http-client.ts';
import { startGatewayProcess } from '../testing/start-gateway-process.ts';
import type { GatewayProcess } from '../testing/start-gateway-process.ts';

let gateway: GatewayProcess;
let cleanup: AsyncDisposableStack;
/** The number of API answers in progress. */
let atOnce: number;
let mostAtOnce: number;
const document = 'x'.repeat(100_000);

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  [atOnce, mostAtOnce] = [0, 0];
  const api = createServer((request, response) => {
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    response.once('close', () => atOnce--);
    request.resume();
    if (request.url === '/slow') setTimeout(() => response.end('slow'), 300);
    else if (request.url === '/echo') echo(request, response);
    else if (request.url === '/document') response.end(document);
    else response.end(request.url);
  });
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  cleanup.defer(() => {
    api.close();
    api.closeAllConnections();
  });
  gateway = await startGatewayProcess({ apiPort: (api.address() as AddressInfo).port });
  cleanup.use(gateway);
  await ask(`http://127.0.0.1:${gateway.port}/health`);
});
afterEach(async () => await cleanup.disposeAsync());

function echo(request: NodeJS.ReadableStream, response: ServerResponse): void {
  request.pipe(response);
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: api\r\n${more}\r\n`;
const post = (body: string): string =>
  `POST /echo HTTP/1.1\r\nHost: api\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe('requests that a client sends without waiting for answers', () => {
  test('are answered one after the other, in order, whichever answer is ready first', async () => {
    const body = `${'-'.repeat(300_000)}last byte`;
    const requests = [get('/slow'), get('/a'), post('short'), post(body), get('/b', 'Connection: close\r\n')];
    const answers = await askRaw(gateway.port, requests.join(''), 5000);
    expect(answers.match(/slow|\/a|short|\/b|last byte/g)).toEqual(['slow', '/a', 'short', 'last byte', '/b']);
    expect(mostAtOnce).toBe(1);
  });

  test('are unlimited in number if the client reads', async () => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port });
    let received = '';
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => (received += bytes.toString('latin1')));
    for (let n = 0; n < 300; n++) {
      socket.write(get(`/n${n}`, `X-Long: ${'a'.repeat(1500)}\r\n`));
      if (n % 30 === 0) await sleep(5);
    }
    await expect.poll(() => received.match(/\/n\d+/g)?.length, { timeout: 10_000 }).toBe(300);
    expect(received.match(/\/n\d+/g)).toEqual(Array.from({ length: 300 }, (_, n) => `/n${n}`));
    expect(mostAtOnce).toBeLessThan(5);
    socket.destroy();
  });

  test('cost little if nobody reads the answers', async () => {
    const memory = gateway.memoryMib();
    const descriptors = gateway.descriptors();
    const sockets: Socket[] = [];
    for (let n = 0; n < 8; n++) {
      const socket = connect({ host: '127.0.0.1', port: gateway.port }).pause();
      socket.on('error', () => undefined).write(get('/document').repeat(1600));
      sockets.push(socket);
    }
    const waits: number[] = [];
    for (let n = 0; n < 15; n++) {
      const usedBefore = gateway.processorMs();
      await ask(`http://127.0.0.1:${gateway.port}/health`);
      waits.push(gateway.processorMs() - usedBefore);
      expect(gateway.descriptors() - descriptors).toBeLessThan(40);
      await sleep(50);
    }
    // Without turns, the gateway worked up to 18 s before it answered another request.
    expect(Math.max(...waits)).toBeLessThan(3000);
    expect(gateway.memoryMib() - memory).toBeLessThan(64);
    for (const socket of sockets) socket.destroy();
  });

  test('that request a protocol switch before their turn end the connection, not the gateway', async () => {
    const upgrade = get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n');
    await askRaw(gateway.port, get('/slow') + upgrade, 1000);
    await askRaw(gateway.port, get('/slow') + get('/a') + upgrade, 1000);
    expect((await ask(`http://127.0.0.1:${gateway.port}/health`)).status).toBe(200);
  });
});
