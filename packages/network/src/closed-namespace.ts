import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Server } from 'node:net';
import { netlinkProtocol } from '@soulbox/linux/netlink';
import { createBoundSocketIn, makeNamespace, openNetlinkIn, within } from './enter-namespace.ts';
import { interfaceFlags, loopback, setFlags } from './route-requests.ts';

/**
 * A network namespace with a loopback device and nothing else: a program in it reaches what listens there for it, and that alone. It
 * lives as long as something of it does: this, a program, a socket.
 */
export interface ClosedNamespace extends Disposable {
  /** Runs `act`, which must not wait, with this thread inside: a program that it spawns is born there. */
  readonly enter: <T>(act: () => T) => T;
  /** Has a server of this process listen inside, on an IPv4 address of loopback. */
  listen(server: Server, address: string, port: number): Promise<void>;
}

export async function openClosedNamespace(): Promise<ClosedNamespace> {
  const fd = makeNamespace();
  try {
    using socket = openNetlinkIn(fd, netlinkProtocol.route);
    await socket.ask([setFlags(loopback, interfaceFlags.up)]);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    enter: (act) => within(fd, act),
    listen: async (server, address, port) => {
      const listening = once(server, 'listening');
      server.listen({ fd: createBoundSocketIn(fd, address, port) });
      await listening;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
