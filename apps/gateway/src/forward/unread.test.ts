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

describe('what waits for readers', () => {
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

  test('is counted until it went out or its exchange closed', () => {
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

  test('is bounded for each owner: what moved least recently is reset, and nobody else', () => {
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

  test('is bounded for all together', () => {
    const unread = createUnread({ totalBytes: 100, ownerBytes: 60 });
    for (let n = 0; n < 6; n++) unread.open(exchangeOf(`e${n}`), `owner ${n}`).add(30);
    expect(resets).toEqual(['e0', 'e1', 'e2']);
    expect(unread.totalBytes).toBe(90);
  });

  test('of one exchange alone is bounded too', () => {
    const unread = createUnread({ totalBytes: 100, ownerBytes: 60 });
    unread.open(exchangeOf('alone'), 'a').add(61);
    expect(resets).toEqual(['alone']);
    expect(unread.totalBytes).toBe(0);
  });
});

describe('answers that nobody reads', () => {
  let cleanup: AsyncDisposableStack;
  let gateway: GatewayProcess;
  /** A process grows by more than what it is told to hold: MiB of the collector's leeway. */
  const growthMax = 128;
  const megabyte = Buffer.alloc(1024 * 1024, 'a');
  /** More than the kernel takes from a sender whose reader takes nothing: a smaller answer may be out, and its connection idle. */
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

  /** Each of its own chunk: what a stream keeps of a chunk is far more than a byte. */
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
    // Each holds what the kernel did not take, 4 MiB or more, and 16 may be held.
    { whose: 'the API', path: '/big', host: 'api', count: 200, kept: 4 },
    // Each holds 64 KiB or more, until nothing more is read for it.
    { whose: 'a sandbox', path: '/big', host: `8080-${sandboxId}.soulbox.localhost`, count: 400, kept: 256 },
    {
      whose: 'a sandbox in single bytes',
      path: '/single',
      host: `8080-${sandboxId}.soulbox.localhost`,
      count: 3,
      kept: 3,
    },
  ])('of $whose are held up to the limit', async ({ path, host, count, kept }) => {
    const [memory, descriptors] = [gateway.memoryMib(), gateway.descriptors()];
    for (let n = 0; n < count; n++) {
      const socket = connect({ host: '127.0.0.1', port: gateway.port }).pause();
      socket.on('error', () => undefined).write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-API-Key: k\r\n\r\n`);
      cleanup.defer(() => void socket.destroy());
    }
    for (let n = 0; n < 20; n++) {
      await sleep(100);
      expect(gateway.memoryMib() - memory).toBeLessThan(growthMax);
    }
    // Of each, the client's connection and the one to its answer; the pool keeps some.
    await expect.poll(() => gateway.descriptors() - descriptors, { timeout: 5000 }).toBeLessThan(2 * kept + 80);
    // Whoever reads gets all of it meanwhile.
    const answer = await ask(`http://127.0.0.1:${gateway.port}/big`, { headers: { host: 'api' } });
    expect(answer.body).toHaveLength(large.length);
  });

  test('of the API over one HTTP/2 connection cost what the limits say', async () => {
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

test('a key and an address may have so many requests to the API under way, and are told when to come again', async () => {
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
