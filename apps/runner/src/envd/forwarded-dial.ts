import type { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import { envdForwardPort, forwardAnswers } from '@soulbox/contract';
import type { Dial } from '@soulbox/contract';

const answerTimeoutMs = 5_000;

/**
 * Dials with `direct`. When the port is closed, dials again through envd, which reaches services that listen only on
 * the sandbox's own loopback (docs/decisions/012). envd is hostile, but its answer decides only about a connection to
 * itself.
 */
export function createForwardedDial(direct: Dial<Socket>, hostToken: Secret): Dial<Socket> {
  return async (port) => {
    try {
      return await direct(port);
    } catch (error) {
      if (!(error instanceof SoulBoxError) || error.reason !== 'port_closed') throw error;
      const socket = await direct(envdForwardPort).catch(() => undefined);
      if (socket !== undefined && (await askFor(socket, port, hostToken))) return socket;
      throw error;
    }
  };
}

/** Whether envd has connected the socket to the port. Otherwise the socket is destroyed. */
async function askFor(socket: Socket, port: number, hostToken: Secret): Promise<boolean> {
  socket.write(`${port} ${hostToken.reveal()}\n`);
  const isOpen = (await readAnswer(socket)) === forwardAnswers.open;
  if (!isOpen) socket.destroy();
  return isOpen;
}

/** Reads exactly the answer. Later bytes stay in the socket. */
async function readAnswer(socket: Socket): Promise<string> {
  return await new Promise((resolve) => {
    const settle = (answer: string): void => {
      clearTimeout(timer);
      socket.off('readable', look);
      socket.off('close', giveUp);
      socket.off('end', giveUp);
      resolve(answer);
    };
    const look = (): void => {
      const bytes = socket.read(forwardAnswers.open.length) as Buffer | null;
      if (bytes !== null) settle(bytes.toString('latin1'));
    };
    const giveUp = (): void => settle('');
    const timer = setTimeout(giveUp, answerTimeoutMs);
    socket.on('error', giveUp);
    socket.on('close', giveUp);
    socket.on('end', giveUp);
    socket.on('readable', look);
    look();
  });
}
