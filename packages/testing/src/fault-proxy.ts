import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** What happens to one connection. Bytes count what the server sends; 0 is before its first byte. */
export type Fault =
  | { readonly kind: 'none' }
  /** Ends both connections after so many bytes. `reset`: with RST instead of FIN. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly reset?: boolean }
  /** Ends only the direction to the client; what the client sends still arrives. */
  | { readonly kind: 'half-close'; readonly afterBytes: number }
  /** Forwards nothing more, and keeps the connections open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Forwards each piece of the server so much later. */
  | { readonly kind: 'delay'; readonly ms: number }
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
  client.on('data', (bytes: Buffer) => {
    if (!isStalled && !upstream.write(bytes)) client.pause();
  });
  upstream.on('drain', () => client.resume());
  client.on('end', () => {
    if (!isStalled) upstream.end();
  });
  forwardAnswer(upstream, client, fault, link, () => isStalled);
  return link;
}

function forwardAnswer(upstream: Socket, client: Socket, fault: Fault, link: Link, isStalled: () => boolean): void {
  let left = 'afterBytes' in fault ? fault.afterBytes : Infinity;
  const apply = (): void => {
    if (fault.kind === 'half-close') client.end();
    else if (fault.kind === 'stall') link.stall();
    else if (fault.kind === 'cut' && fault.reset === true) link.cut(true);
    // The bytes before the cut arrive first.
    else client.end(() => link.cut(false));
  };
  upstream.on('data', (bytes: Buffer) => {
    if (isStalled() || left < 0 || client.writableEnded) return;
    const piece = bytes.subarray(0, Math.min(bytes.length, left));
    left -= piece.length;
    if (fault.kind === 'delay') setTimeout(() => void client.write(piece), fault.ms);
    else if (!client.write(piece)) upstream.pause();
    if (left === 0) {
      left = -1;
      apply();
    }
  });
  client.on('drain', () => upstream.resume());
  upstream.on('end', () => {
    if (isStalled()) return;
    if (fault.kind === 'delay') setTimeout(() => client.end(), fault.ms);
    else client.end();
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
