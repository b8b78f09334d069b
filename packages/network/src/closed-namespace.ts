import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Server } from 'node:net';
import { makeNetworkNamespace } from '@soulbox/linux/namespaces';
import { netlinkProtocol } from '@soulbox/linux/netlink';
import { createBoundSocketIn, openNetlinkIn, within } from './enter-namespace.ts';
import { interfaceFlags, loopback, setFlags } from './route-requests.ts';

/**
 * A network namespace with only a loopback device. A program in it reaches only the servers that listen there for it.
 * The namespace lives as long as this object, a program in it or one of its sockets.
 */
export interface ClosedNamespace extends Disposable {
  /** Runs `act` with this thread inside the namespace. `act` must not wait. A program that it spawns starts inside. */
  readonly enter: <T>(act: () => T) => T;
  /** Makes a server of this process listen inside, on an IPv4 loopback address. */
  listen(server: Server, address: string, port: number): Promise<void>;
}

export async function openClosedNamespace(): Promise<ClosedNamespace> {
  const fd = makeNetworkNamespace();
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
