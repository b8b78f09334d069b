import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { createStatsdTable } from './statsd-table.ts';
import type { StatsdTable } from './statsd-table.ts';

/** What is taken within a second. Then the port is closed until the second is over, and the kernel drops. */
export const statsdLimits = { datagramsPerSecond: 5000, bytesPerSecond: 256 * 1024 } as const;
const spanMs = 1000;
/** Other programs own the ports below. */
const portMin = 1024;
/** Clients send what fits into a packet of the network. The rest of a larger one is not read. */
const datagramMaxBytes = 8192;

/** What programs report by StatsD to one port of loopback. */
export interface StatsdListener {
  /** The port on which it listens. */
  readonly port: number | undefined;
  /** Listens on this port from now on, and no more on another one. Throws `bad_request` if it cannot. */
  listen(port: number): Promise<void>;
  /** Stops, and forgets everything. */
  close(): void;
  /** See StatsdTable. `isFlooded`: datagrams were dropped since the last call. */
  read(): ReturnType<StatsdTable['read']> & { readonly isFlooded: boolean };
}

interface Open {
  readonly port: number;
  readonly table: StatsdTable;
  /** Undefined while datagrams are dropped. */
  socket: Socket | undefined;
  taken: number;
  takenBytes: number;
  isFlooded: boolean;
  timer: NodeJS.Timeout | undefined;
}

export function createStatsdListener(
  limits: Readonly<Record<keyof typeof statsdLimits, number>> = statsdLimits,
): StatsdListener {
  let current: Open | undefined;

  const close = (): void => {
    clearTimeout(current?.timer);
    current?.socket?.close();
    current = undefined;
  };

  const bind = async (open: Open): Promise<void> => {
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    socket.on('message', (datagram) => {
      // Many programs send few datagrams, so the span begins with one: an idle sandbox has no timer.
      open.timer ??= setTimeout(() => begin(open), spanMs);
      open.taken += 1;
      open.takenBytes += datagram.length;
      open.table.take(datagram.subarray(0, datagramMaxBytes).toString('utf8'));
      const isMore = open.taken >= limits.datagramsPerSecond || open.takenBytes >= limits.bytesPerSecond;
      if (!isMore || open.socket !== socket) return;
      open.isFlooded = true;
      open.socket = undefined;
      socket.close();
    });
    socket.bind({ port: open.port, address: '127.0.0.1' });
    try {
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    // A port that fails later is opened again by the next read.
    socket.on('error', () => {
      if (current === open) close();
    });
    // Closed meanwhile.
    if (current === open) open.socket = socket;
    else socket.close();
  };

  const begin = (open: Open): void => {
    open.timer = undefined;
    [open.taken, open.takenBytes] = [0, 0];
    if (open.socket !== undefined || current !== open) return;
    bind(open).catch(() => {
      if (current === open) close();
    });
  };

  return {
    get port() {
      return current?.port;
    },
    async listen(port) {
      if (current?.port === port) return;
      if (port < portMin) throw new SoulBoxError('bad_request', `The port must be ${portMin} or higher.`);
      close();
      const nothing = { socket: undefined, taken: 0, takenBytes: 0, isFlooded: false, timer: undefined };
      const open: Open = { port, table: createStatsdTable(), ...nothing };
      current = open;
      try {
        await bind(open);
      } catch (error) {
        // A later call may have replaced it.
        if (current === open) current = undefined;
        const code = isNodeError(error) ? (error.code ?? 'unknown') : 'unknown';
        throw new SoulBoxError('bad_request', `Port ${port} cannot be opened (${code}).`);
      }
    },
    close,
    read() {
      if (current === undefined) return { text: '', refused: 0, isFlooded: false };
      const { isFlooded } = current;
      current.isFlooded = false;
      return { ...current.table.read(), isFlooded };
    },
  };
}
