import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { ConnectionContext } from './context.ts';
import type { JudgedConnection } from './judged-connection.ts';
import type { Usage } from '../policies/usage.ts';
import { relay } from './relay.ts';
import { createStallBudget } from './stall-budget.ts';

const halfClosedMs = 500;

/** Two ends of one connection. The first is the one that the egress process has. */
async function openPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  server.close();
  for (const socket of [near, far]) socket.on('error', () => undefined);
  onTestFinished(() => [near, far].forEach((socket) => socket.destroy()));
  return [near, far];
}

test('a connection whose last bytes nobody reads is open, and can be ended, until it was silent for long', async () => {
  const [[client, sandbox], [upstream, host]] = await Promise.all([openPair(), openPair()]);
  const relayed = relay({
    context: { limits: { idleMs: 60_000, halfClosedMs }, stalls: createStallBudget() } as ConnectionContext,
    judged: {
      sandbox: () => ({ sandboxId: 's', limits: { bytes: 0, bytesPerSecond: 0 } }),
      end: () => client.resetAndDestroy(),
    } as unknown as JudgedConnection,
    usage: { count: () => 0 } as unknown as Usage,
    ...{ client, upstream, first: Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'), guardedName: 'a.example' },
  });
  let hasEnded = false;
  void relayed.ended.then(() => (hasEnded = true));

  host.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
  // Until the kernel takes no more for a sandbox that does not read.
  while (client.writableLength === 0) {
    host.write(Buffer.alloc(64 * 1024));
    await sleep(1);
  }
  host.end();
  sandbox.end();
  await expect.poll(() => upstream.destroyed, { interval: 5 }).toBe(true);
  await sleep(halfClosedMs / 5);
  expect({ hasEnded, isClosed: client.destroyed }).toEqual({ hasEnded: false, isClosed: false });
  await relayed.ended;
  expect(client.destroyed).toBe(true);
});
