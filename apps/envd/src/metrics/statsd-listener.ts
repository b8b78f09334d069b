import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { createStatsdTable } from './statsd-table.ts';
import type { StatsdTable } from './statsd-table.ts';

/** Datagrams that are taken within a second. Then the port is closed until the second is over, and the kernel drops. */
export const datagramsPerSecond = 5000;
const spanMs = 1000;
/** Other programs own the ports below. */
const portMin = 1024;
const datagramMaxBytes = 65_536;

/** What programs report by StatsD to one port of loopback. */
export interface StatsdListener {
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
  isFlooded: boolean;
  timer: NodeJS.Timeout | undefined;
}

export function createStatsdListener(datagramsMax = datagramsPerSecond): StatsdListener {
  let current: Open | undefined;

  const close = (): void => {
    clearTimeout(current?.timer);
    current?.socket?.close();
    current = undefined;
  };

  const bind = async (open: Open): Promise<void> => {
    const socket = createSocket('udp4');
    socket.on('message', (datagram) => {
      // Many programs send few datagrams, so the span begins with one: an idle sandbox has no timer.
      open.timer ??= setTimeout(() => begin(open), spanMs);
      open.taken += 1;
      open.table.take(datagram.subarray(0, datagramMaxBytes).toString('utf8'));
      if (open.taken < datagramsMax || open.socket !== socket) return;
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
    open.taken = 0;
    if (open.socket !== undefined || current !== open) return;
    bind(open).catch(() => {
      if (current === open) close();
    });
  };

  return {
    async listen(port) {
      if (current?.port === port) return;
      close();
      if (port < portMin) throw new SoulBoxError('bad_request', `The port must be ${portMin} or higher.`);
      const nothing = { socket: undefined, taken: 0, isFlooded: false, timer: undefined };
      const open: Open = { port, table: createStatsdTable(), ...nothing };
      current = open;
      try {
        await bind(open);
      } catch (error) {
        current = undefined;
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
