import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Exchange } from '../exchange/exchange.ts';
import { ask } from '../testing/http-client.ts';
import { startGatewayProcess } from '../testing/start-gateway-process.ts';
import type { GatewayProcess } from '../testing/start-gateway-process.ts';
import { sandboxId } from '../testing/test-world.ts';
import { createUnread } from './unread.ts';

describe('data that waits for readers', () => {
  let resets: string[];
  beforeEach(() => {
    resets = [];
  });
  const exchangeOf = (name: string): Exchange & { close: () => void } => {
    const listeners: (() => void)[] = [];
    const exchange = { reset: () => resets.push(name), onClose: (listener: () => void) => listeners.push(listener) };
    const close = (): void => {
      for (const listener of listeners) listener();
    };
    return { ...exchange, close } as unknown as Exchange & { close: () => void };
  };

  test('is counted until it was sent or its exchange closed', () => {
    const unread = createUnread({ totalBytes: 100, ownerBytes: 100 });
    const [one, two] = [exchangeOf('one'), exchangeOf('two')];
    const first = unread.open(one, 'a');
    const second = unread.open(two, 'a');
    first.add(50);
    second.add(40);
    first.release(50);
    expect(unread.totalBytes).toBe(40);
    two.close();
    second.add(1000);
    second.release(1000);
    expect(unread.totalBytes).toBe(0);
    expect(resets).toEqual([]);
  });

  test('is limited per owner: the exchange that moved least recently is reset, and no other', () => {
    const unread = createUnread({ totalBytes: 1000, ownerBytes: 100 });
    const other = unread.open(exchangeOf('other'), 'b');
    other.add(90);
    const [first, second, third] = ['first', 'second', 'third'].map((name) => unread.open(exchangeOf(name), 'a'));
    first?.add(40);
    second?.add(40);
    first?.release(1);
    third?.add(40);
    expect(resets).toEqual(['second']);
    expect(unread.totalBytes).toBe(90 + 39 + 40);
  });

  test('is limited for all owners together', () => {
    const unread = createUnread({ totalBytes: 100, ownerBytes: 60 });
    for (let n = 0; n < 6; n++) unread.open(exchangeOf(`e${n}`), `owner ${n}`).add(30);
    expect(resets).toEqual(['e0', 'e1', 'e2']);
    expect(unread.totalBytes).toBe(90);
  });

  test('is limited for a single exchange, too', () => {
    const unread = createUnread({ totalBytes: 100, ownerBytes: 60 });
    unread.open(exchangeOf('alone'), 'a').add(61);
    expect(resets).toEqual(['alone']);
    expect(unread.totalBytes).toBe(0);
  });
});

describe('unread answers', () => {
  let cleanup: AsyncDisposableStack;
  let gateway: GatewayProcess;
  /** How much a process may grow beyond its limits, because garbage collection takes time. MiB. */
  const growthMax = 128;
  const megabyte = Buffer.alloc(1024 * 1024, 'a');
  /**
   * More than the kernel accepts from a sender whose reader reads nothing. A smaller answer could be sent completely,
   * and its connection would be idle.
   */
  const large = Buffer.concat(Array<Buffer>(8).fill(megabyte));

  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    const api = await listen(createServer((_request, response) => response.end(large)));
    const port = await listen(
      createServer((request, response) => {
        if (request.url === '/single') sendSingleBytes(response);
        else response.end(large);
      }),
    );
    gateway = await startGatewayProcess({
      config: { unreadMb: 32, unreadPerOwnerMb: 16 },
      apiPort: api,
      ports: { 8080: port },
    });
    cleanup.use(gateway);
    await ask(`http://127.0.0.1:${gateway.port}/warm`);
  });
  afterEach(async () => await cleanup.disposeAsync());

  async function listen(server: Server & { closeAllConnections?: () => void }): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.defer(() => {
      server.close();
      server.closeAllConnections?.();
    });
    return (server.address() as AddressInfo).port;
  }

  /** Sends each byte in a chunk of its own, because a stream uses far more memory for a chunk than for a byte. */
  function sendSingleBytes(response: ServerResponse): void {
    const socket = response.socket;
    response.detachSocket(socket as never);
    socket?.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const piece = Buffer.from('1\r\na\r\n'.repeat(10_000));
    const send = (): void => {
      while (socket?.destroyed === false && socket.write(piece));
    };
    socket?.on('drain', send);
    send();
  }

  test.each([
    // Each holds the data that the kernel did not accept, 4 MiB or more, and 16 MiB may be held.
    { whose: 'the API', path: '/big', host: 'api', count: 200, kept: 4, growth: growthMax },
    // Each holds 64 KiB or more, before reading stops for it.
    {
      whose: 'a sandbox',
      path: '/big',
      host: `8080-${sandboxId}.soulbox.localhost`,
      count: 400,
      kept: 256,
      growth: growthMax,
    },
    // Each byte is an object until it is collected: the heap grows to 210 MiB, with 3 connections as with 12.
    {
      whose: 'a sandbox in single bytes',
      path: '/single',
      host: `8080-${sandboxId}.soulbox.localhost`,
      count: 3,
      kept: 3,
      growth: 256,
    },
  ])('of $whose are held up to the limit', async ({ path, host, count, kept, growth }) => {
    const [memory, descriptors] = [gateway.memoryMib(), gateway.descriptors()];
    for (let n = 0; n < count; n++) {
      const socket = connect({ host: '127.0.0.1', port: gateway.port }).pause();
      socket.on('error', () => undefined).write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-API-Key: k\r\n\r\n`);
      cleanup.defer(() => void socket.destroy());
    }
    for (let n = 0; n < 20; n++) {
      await sleep(100);
      expect(gateway.memoryMib() - memory).toBeLessThan(growth);
    }
    // For each there is the client's connection and the one to its service. The pool keeps some more.
    await expect.poll(() => gateway.descriptors() - descriptors, { timeout: 5000 }).toBeLessThan(2 * kept + 80);
    // A client that reads receives its whole answer meanwhile.
    const answer = await ask(`http://127.0.0.1:${gateway.port}/big`, { headers: { host: 'api' } });
    expect(answer.body).toHaveLength(large.length);
  });

  test('of the API over one HTTP/2 connection cost no more than the limits', async () => {
    const before = gateway.memoryMib();
    const session = connectHttp2(`http://127.0.0.1:${gateway.port}`, { settings: { initialWindowSize: 0 } });
    session.on('error', () => undefined);
    cleanup.defer(() => session.destroy());
    for (let n = 0; n < 300; n++)
      session.request({ ':path': '/big', ':authority': 'api' }).on('error', () => undefined);
    for (let n = 0; n < 20; n++) {
      await sleep(100);
      expect(gateway.memoryMib() - before).toBeLessThan(growthMax);
    }
  });
});

test('the open API requests of a key and of an address are limited, and further ones get a Retry-After header', async () => {
  const api = createServer(() => undefined);
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  await using gateway = await startGatewayProcess({
    config: { maxApiRequests: 3 },
    apiPort: (api.address() as AddressInfo).port,
  });
  const url = `http://127.0.0.1:${gateway.port}/`;
  const waiting = Array.from({ length: 3 }, () => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port });
    socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: api\r\nX-API-Key: mine\r\n\r\n');
    return socket;
  });
  await sleep(200);
  const refused = await ask(url, { headers: { 'x-api-key': 'another' } });
  expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
  for (const socket of waiting) socket.destroy();
  await sleep(200);
  const abort = ask(url).catch(() => 'waits');
  expect(await Promise.race([abort, sleep(200).then(() => 'waits')])).toBe('waits');
  api.close();
  api.closeAllConnections();
});
