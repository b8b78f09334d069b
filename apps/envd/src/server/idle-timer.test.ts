import { EventEmitter, once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createIdleTimer } from './idle-timer.ts';

/** Creates a real connection and returns the server's end of it. */
async function connected(): Promise<{ socket: Socket; close: () => void }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  client.on('error', () => undefined);
  const close = (): void => {
    client.destroy();
    server.close();
  };
  return { socket, close };
}

test('a connection without a request is closed, and one with an open request is not', async () => {
  const idle = await connected();
  const busy = await connected();
  createIdleTimer(idle.socket, 100);
  const response = new EventEmitter();
  createIdleTimer(busy.socket, 100).requestBegins(response);
  await sleep(300);
  expect([idle.socket.destroyed, busy.socket.destroyed]).toEqual([true, false]);
  response.emit('close');
  await sleep(300);
  expect(busy.socket.destroyed).toBe(true);
  idle.close();
  busy.close();
});
