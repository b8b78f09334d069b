import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** Whether the fault is in what the client sends (`up`) or in what the server sends (`down`, the default). */
interface OneWay {
  readonly direction?: 'up' | 'down';
}

/** What happens to one connection. Bytes are counted in the direction of the fault; 0 is before its first byte. */
export type Fault =
  | { readonly kind: 'none' }
  /** Ends both connections after so many bytes. `reset`: with RST instead of FIN. */
  | (OneWay & { readonly kind: 'cut'; readonly afterBytes: number; readonly reset?: boolean })
  /** Ends only this direction; the other one continues. */
  | (OneWay & { readonly kind: 'half-close'; readonly afterBytes: number })
  /** Forwards nothing more, and keeps the connections open. */
  | (OneWay & { readonly kind: 'stall'; readonly afterBytes: number })
  /** Forwards each piece so much later. */
  | (OneWay & { readonly kind: 'delay'; readonly ms: number })
  /** Accepts and never answers. The server is not called. */
  | { readonly kind: 'silence' }
  /** Answers the first bytes of the client with this, as a proxy without a server does, and closes. */
  | { readonly kind: 'answer'; readonly text: string }
  /** Sends the client's first bytes a second time, on a connection of their own whose answer nobody reads. */
  | { readonly kind: 'replay' };

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections so far. */
  readonly accepted: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Applies to connections from now on. `n` counts them from 0. */
  setFault(fault: Fault | ((n: number) => Fault)): void;
  /** Ends every open connection, with RST. */
  cutAll(): void;
  /** Forwards nothing more on every open connection, as if the cable were out. */
  stallAll(): void;
}

export const badGateway = 'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';

/** A TCP proxy on the loopback interface in front of a port there, which does to connections what networks do. */
export async function startFaultProxy(serverPort: number): Promise<FaultProxy> {
  let choose = (_n: number): Fault => ({ kind: 'none' });
  let accepted = 0;
  const links = new Set<Link>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const link = openLink(client, serverPort, choose(accepted));
    accepted += 1;
    links.add(link);
    client.once('close', () => {
      links.delete(link);
      link.cut(false);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cutAll = (): void => {
    for (const link of links) link.cut(true);
  };
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    get open() {
      return links.size;
    },
    setFault(fault) {
      choose = typeof fault === 'function' ? fault : () => fault;
    },
    cutAll,
    stallAll() {
      for (const link of links) link.stall();
    },
    async [Symbol.asyncDispose]() {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Link {
  cut(reset: boolean): void;
  stall(): void;
}

function openLink(client: Socket, serverPort: number, fault: Fault): Link {
  const sockets = [client];
  let isStalled = false;
  const link: Link = {
    cut(reset) {
      for (const socket of sockets) {
        if (reset && socket === client) socket.resetAndDestroy();
        else socket.destroy();
      }
    },
    stall() {
      isStalled = true;
    },
  };
  client.on('error', () => undefined);
  if (fault.kind === 'silence') {
    client.resume();
    return link;
  }
  if (fault.kind === 'answer') {
    client.once('data', () => client.end(fault.text));
    client.resume();
    return link;
  }
  const upstream = connectTo(serverPort);
  sockets.push(upstream);
  upstream.once('close', () => {
    if (!isStalled) client.destroy();
  });
  if (fault.kind === 'replay')
    client.once('data', (first: Buffer) => {
      const copy = connectTo(serverPort);
      sockets.push(copy);
      copy.resume().write(first);
    });
  const isUp = 'direction' in fault && fault.direction === 'up';
  const none = { kind: 'none' } as const;
  forward(client, upstream, { upstream, fault: isUp ? fault : none, link, isStalled: () => isStalled });
  forward(upstream, client, { upstream, fault: isUp ? none : fault, link, isStalled: () => isStalled });
  return link;
}

interface Forwarding {
  readonly upstream: Socket;
  readonly fault: Fault;
  readonly link: Link;
  readonly isStalled: () => boolean;
}

function forward(from: Socket, to: Socket, { upstream, fault, link, isStalled }: Forwarding): void {
  let left = 'afterBytes' in fault ? fault.afterBytes : Infinity;
  const apply = (): void => {
    if (fault.kind === 'half-close') to.end();
    else if (fault.kind === 'stall') link.stall();
    else if (fault.kind === 'cut' && fault.reset === true) link.cut(true);
    // The bytes before the cut arrive first.
    else to.end(() => link.cut(false));
  };
  from.on('data', (bytes: Buffer) => {
    if (isStalled() || left < 0 || to.writableEnded) return;
    const piece = bytes.subarray(0, Math.min(bytes.length, left));
    left -= piece.length;
    if (fault.kind === 'delay') setTimeout(() => void to.write(piece), fault.ms);
    else if (!to.write(piece)) from.pause();
    if (left === 0) {
      left = -1;
      apply();
    }
  });
  to.on('drain', () => from.resume());
  from.on('end', () => {
    if (isStalled()) return;
    if (fault.kind === 'delay') setTimeout(() => to.end(), fault.ms);
    else to.end();
  });
  if (left === 0) {
    left = -1;
    // With nothing to forward, the fault happens as soon as there is a connection.
    upstream.once('connect', apply);
  }
}

function connectTo(port: number): Socket {
  return connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
}
