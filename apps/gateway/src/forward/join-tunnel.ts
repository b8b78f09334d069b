import type { Duplex } from 'node:stream';
import { resetSocket } from '../exchange/reset-socket.ts';
import { passOn } from './pass-on.ts';
import type { Holding } from './unread.ts';

/** Copies in both directions until both sides have ended. If one side breaks, the other is broken, too. */
export function joinTunnel(
  client: Duplex,
  service: Duplex,
  options: { idleTimeoutMs: number; holding: Holding; resetClient: () => void },
): void {
  const { idleTimeoutMs, holding, resetClient } = options;
  passOn(client, service, holding);
  client.once('end', () => service.end());
  passOn(service, client, holding);
  service.once('end', () => client.end());
  client.on('error', () => service.destroy());
  client.on('close', () => {
    if (client.readableEnded && client.writableFinished) service.destroy();
    else resetSocket(service);
  });
  service.on('close', () => {
    if (!service.readableEnded) resetClient();
  });
  if ('setTimeout' in client)
    (client as { setTimeout(ms: number, onIdle: () => void): void }).setTimeout(idleTimeoutMs, resetClient);
}
