import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';
import type { Client, Connection, ServerChannel, Session } from 'ssh2';
import { makeHostKey } from '../host-key.ts';
import type { Outlet } from '../outlet.ts';
import { openRaw, rawProtocol } from './raw-client.ts';

/** Takes everything. */
export const roomy: Outlet = { hasRoom: () => true, isClosed: () => false, onChange: () => () => undefined };

/** Both ends of a session whose client takes `window` bytes. Its server lets everybody in. */
export async function openPair(window: number) {
  const stack = new AsyncDisposableStack();
  const protocol = new ssh2.Server({ hostKeys: [makeHostKey().privateKey] });
  const { promise: channel, resolve } = Promise.withResolvers<ServerChannel>();
  protocol.on('connection', (connection: Connection) => {
    connection.on('authentication', (context) => context.accept());
    connection.on('error', () => undefined);
    connection.on('session', (accept) => {
      const session: Session = accept();
      session.on('shell', (acceptShell) => resolve(acceptShell()));
    });
  });
  const server = createServer((socket) => {
    stack.defer(() => void socket.destroy());
    protocol.injectSocket(socket);
  }).listen(0, '127.0.0.1');
  stack.defer(() => void server.close());
  await once(server, 'listening');
  const client: Client = new ssh2.Client();
  client.on('error', () => undefined);
  const sock = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.connect({ sock, username: 'x' });
  stack.defer(() => void client.destroy());
  await once(client, 'ready');
  const opened = await openRaw(client, { window });
  rawProtocol(client).shell(opened.id, false);
  return { ...opened, client, server: await channel, [Symbol.asyncDispose]: async () => await stack.disposeAsync() };
}
