import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { forwardAnswers } from '@soulbox/contract';
import type { HostGate } from '../host-gate.ts';
import { holdPort } from '../server/hold-port.ts';

/** The first line contains a port and a token of 32 characters. */
const maxLineBytes = 256;
const lineTimeoutMs = 5_000;
const loopbacks = ['127.0.0.1', '::1'] as const;

/**
 * Connects the host with services that listen only on this sandbox's loopback, which the host cannot dial
 * (docs/decisions/012). A caller without the host token receives nothing. An end of either side is passed on as an end,
 * and a break as a break.
 */
export async function listenForPorts(port: number, hostGate: HostGate): Promise<Server> {
  const onSocket = (socket: Socket): void => {
    socket.on('error', () => socket.destroy());
    void accept(socket, hostGate).catch(() => socket.destroy());
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '0.0.0.0', () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve();
    });
  });
  await holdPort(port, onSocket, { allowHalfOpen: true });
  return server;
}

async function accept(socket: Socket, hostGate: HostGate): Promise<void> {
  const [wanted = '', token = ''] = (await readLine(socket)).split(' ');
  const port = Number(wanted);
  if (!(await hostGate.isHost(token)) || !Number.isInteger(port) || port < 1 || port > 65_535) {
    socket.destroy();
    return;
  }
  const service = await connectLoopback(port);
  if (service === undefined) {
    socket.end(forwardAnswers.closed);
    return;
  }
  if (socket.destroyed) {
    service.destroy();
    return;
  }
  socket.write(forwardAnswers.open);
  join(socket, service);
}

/** Reads only the line from the socket, and no byte after it. */
async function readLine(socket: Socket): Promise<string> {
  const timer = setTimeout(() => socket.destroy(), lineTimeoutMs);
  try {
    let line = '';
    for await (const chunk of chunksOf(socket)) {
      line += chunk.toString('latin1');
      const end = line.indexOf('\n');
      if (end < 0 && line.length <= maxLineBytes) continue;
      const rest = Buffer.from(line.slice(end + 1), 'latin1');
      if (end >= 0 && rest.length > 0) socket.unshift(rest);
      return end < 0 ? '' : line.slice(0, end);
    }
    return '';
  } finally {
    clearTimeout(timer);
  }
}

/** Yields the received data, without ending the socket when the reader stops. */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) yield chunk;
    else if (socket.readableEnded || socket.destroyed) return;
    else
      await new Promise<void>((resolve) => {
        const go = (): void => {
          for (const name of ['readable', 'end', 'close']) socket.off(name, go);
          resolve();
        };
        for (const name of ['readable', 'end', 'close']) socket.once(name, go);
      });
  }
}

async function connectLoopback(port: number): Promise<Socket | undefined> {
  for (const host of loopbacks) {
    const service = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const isOpen = await new Promise<boolean>((resolve) => {
      service.once('connect', () => resolve(true));
      service.once('error', () => resolve(false));
    });
    if (isOpen) return service;
    service.destroy();
  }
  return undefined;
}

/** A side that reads slowly slows the other side down. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    // Closed without an end: the other side must not treat the received data as complete.
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}
