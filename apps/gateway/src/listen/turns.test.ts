import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

test('a connection that is reset for too many requests has no more of them read', async () => {
  let read = 0;
  const turns = createTurns();
  const server = createServer((request, response) => {
    read += 1;
    turns.take(request.socket, response, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const client = connect({ host: '127.0.0.1', port });
    client.on('error', () => undefined);
    // As much as one read takes.
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    client.write(request.repeat(Math.floor(65_536 / request.length)));
    await new Promise<void>((resolve) => client.once('close', () => resolve()));
    // One began, 64 waited, and the next one was too many. The parser learns that with the result of that one.
    expect(read).toBe(66);
  } finally {
    server.close();
  }
});
