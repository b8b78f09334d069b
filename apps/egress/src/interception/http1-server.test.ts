import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { createHttp1Server } from './http1-server.ts';

test('a connection with too many requests is ended, and no more of them are read', async () => {
  using server = createHttp1Server();
  const taken: string[] = [];
  const listener = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port });
  client.on('error', () => undefined);
  // As much as one read takes.
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  client.write(request.repeat(Math.floor(65_536 / request.length)));
  const [connection] = (await once(listener, 'connection')) as [Socket];
  // Each request that is too many ends the connection.
  const destroy = vi.spyOn(connection, 'destroy');
  const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
  server.serve(connection, {
    request: ({ url = '' }) => void taken.push(url),
    upgrade: () => undefined,
  });
  await closed;
  listener.close();
  client.destroy();
  expect(taken).toHaveLength(16);
  expect(destroy.mock.calls.length).toBeLessThan(5);
});
