import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '@soulbox/base';
import type { InterceptedConnection } from '../connections/interceptor.ts';
import { createConversation } from './conversation.ts';
import type { PlaceholderValues } from './placeholder-values.ts';
import { createTlsSessions } from './tls-sessions.ts';

async function openServer(): Promise<() => Promise<Socket>> {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
}

test('a connection to the host that is there only after the sandbox has left is closed', async () => {
  const open = await openServer();
  const [early, late] = [await open(), await open()];
  const dialing = Promise.withResolvers<{ socket: Socket; address: string }>();
  const dials = [Promise.resolve({ socket: early, address: '127.0.0.1' }), dialing.promise];
  const conversation = createConversation(
    {
      ...{ scheme: 'http', name: 'a.example', port: 80, signal: new AbortController().signal },
      sandbox: () => ({ sandboxId: 's', rules: [] }),
      dial: () => dials.shift() ?? Promise.reject(new Error('dialed too often')),
    } as unknown as InterceptedConnection,
    {
      ...{ protocols: [], trust: createSecureContext(), sessions: createTlsSessions(systemClock), clock: systemClock },
      values: { open: () => ({ [Symbol.dispose]: () => undefined }) } as unknown as PlaceholderValues,
    },
  );
  expect((await conversation.openUpstream()).socket).toBe(early);
  const second = conversation.openUpstream();
  await setImmediate();
  await conversation[Symbol.asyncDispose]();
  expect(early.destroyed).toBe(true);
  dialing.resolve({ socket: late, address: '127.0.0.1' });
  await second.catch(() => undefined);
  expect(late.destroyed).toBe(true);
  await expect(conversation.openUpstream()).rejects.toMatchObject({ reason: 'upstream_failed' });
});
