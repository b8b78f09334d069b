import type { Socket } from 'node:net';
import type { Logger } from '@soulbox/base';
import type { SshUsed } from '@soulbox/contract/ssh-service';
import type { ServerChannel } from 'ssh2';
import type { MemoryBound } from '../bound-memory.ts';
import { packetBytesOf } from '../library.ts';
import { packetMinBytes } from '../limits.ts';
import type { Outlet } from '../outlet.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { joinChannel } from './join-channel.ts';

export interface ForwardContext {
  readonly sandbox: Sandbox;
  readonly fault: string;
  readonly socket: Socket;
  readonly takePlace: () => boolean;
  readonly freePlace: () => void;
  readonly note: (used: SshUsed) => void;
  readonly memory: MemoryBound;
  readonly outlet: Outlet;
  readonly logger: Logger;
}

/** Names of the sandbox itself. Hosts outside are not reached for a client: its sandbox can, by its own rules. */
const own = new Set(['localhost', '127.0.0.1', '::1', '[::1]', '0.0.0.0', '::', '']);

/** Serves a channel of type `direct-tcpip` (RFC 4254, section 7.2): a connection to a port of the sandbox. */
export async function serveForwarded(
  to: { readonly host: string; readonly port: number },
  answer: { readonly accept: () => ServerChannel; readonly reject: () => void },
  { sandbox, fault, socket, takePlace, freePlace, note, memory, outlet, logger }: ForwardContext,
): Promise<void> {
  const isOwn = own.has(to.host.toLowerCase()) && to.port >= 1 && to.port <= 65_535;
  if (!isOwn || fault !== '' || !takePlace()) {
    answer.reject();
    return;
  }
  try {
    const service = await sandbox.dial(to.port);
    if (socket.destroyed) {
      service.destroy();
      return;
    }
    note('forward');
    const channel = answer.accept();
    if (packetBytesOf(channel) < packetMinBytes) {
      service.destroy();
      socket.destroy();
      return;
    }
    memory.watch(channel);
    await joinChannel(channel, service, outlet);
  } catch (err) {
    logger.debug({ err, port: to.port }, 'a port could not be forwarded');
    answer.reject();
  } finally {
    freePlace();
  }
}
