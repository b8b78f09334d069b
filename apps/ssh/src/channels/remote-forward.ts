import type { Socket } from 'node:net';
import type { Logger } from '@soulbox/base';
import type { SshUsed } from '@soulbox/contract/ssh-service';
import type { Connection, ServerChannel } from 'ssh2';
import type { MemoryBound } from '../bound-memory.ts';
import type { ForwardAnswer, ForwardRequest } from '../global-requests.ts';
import { packetBytesOf } from '../library.ts';
import { listenersOfConnectionMax, packetMinBytes, remoteOfConnectionMax } from '../limits.ts';
import type { Outlet } from '../outlet.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Tally } from '../tally.ts';
import { joinChannel } from './join-channel.ts';
import { openListener } from './open-listener.ts';
import type { Listener, ListenerClient } from './open-listener.ts';

/** The ports of the sandbox that the client of one connection has forwarded to itself. */
export interface RemoteForward extends Disposable {
  serve(request: ForwardRequest): Promise<ForwardAnswer>;
}

export interface RemoteForwardContext {
  readonly client: Connection;
  readonly socket: Socket;
  readonly sandboxId: string;
  readonly sandbox: Sandbox;
  readonly fault: string;
  /** The program that listens inside, as one module. */
  readonly program: string;
  /** Of all connections to a sandbox. */
  readonly limits: RemoteLimits;
  readonly takePlace: () => boolean;
  readonly freePlace: () => void;
  /** A listener ended by itself, such as by a pause. */
  readonly onLost: () => void;
  readonly note: (used: SshUsed) => void;
  readonly memory: MemoryBound;
  readonly outlet: Outlet;
  readonly logger: Logger;
}

export interface RemoteLimits {
  readonly listeners: Tally;
  readonly clients: Tally;
}

/** Every one means loopback of the sandbox, as with sshd's `GatewayPorts no`. */
const loopback = new Set(['', '*', 'localhost', '127.0.0.1', '::1', '0.0.0.0', '::']);

export function createRemoteForward(context: RemoteForwardContext): RemoteForward {
  const { client, socket, sandboxId, sandbox, fault, program, limits, logger, note } = context;
  const listeners = new Map<string, Listener>();
  let clients = 0;

  const serveClient = async (listener: Listener, host: string, from: ListenerClient): Promise<void> => {
    if (clients >= remoteOfConnectionMax || !limits.clients.take(sandboxId)) {
      listener.refuse(from);
      return;
    }
    clients += 1;
    const hasPlace = context.takePlace();
    try {
      if (!hasPlace) throw new Error('The connection has too many channels.');
      await join(listener, host, from);
    } catch (err) {
      logger.debug({ err, port: listener.port }, 'a connection to a forwarded port was refused');
      listener.refuse(from);
    } finally {
      if (hasPlace) context.freePlace();
      limits.clients.free(sandboxId);
      clients -= 1;
    }
  };
  const join = async (listener: Listener, host: string, from: ListenerClient): Promise<void> => {
    const channel = await new Promise<ServerChannel>((resolve, reject) =>
      client.forwardOut(host, listener.port, from.address, from.port, (error, opened) => {
        if (error === undefined) resolve(opened);
        else reject(error);
      }),
    );
    if (packetBytesOf(channel) < packetMinBytes) {
      socket.destroy();
      throw new Error('The client takes too small packets.');
    }
    context.memory.watch(channel);
    const service = await listener.fetch(from).catch((error: unknown) => {
      channel.on('error', () => undefined).close();
      throw error;
    });
    await joinChannel(channel, service, context.outlet);
  };

  const forward = async (host: string, wanted: number): Promise<ForwardAnswer> => {
    if (fault !== '' || wanted > 65_535 || !loopback.has(host.toLowerCase())) return false;
    if (listeners.size >= listenersOfConnectionMax || !limits.listeners.take(sandboxId)) return false;
    let name = '';
    const free = (): void => limits.listeners.free(sandboxId);
    try {
      const listener: Listener = await openListener({
        ...{ sandbox, program, port: wanted, logger },
        onClient: (from) => void serveClient(listener, host, from),
        onEnd() {
          if (!listeners.delete(name)) return;
          free();
          logger.info({ port: listener.port }, 'a listener in the sandbox has ended');
          context.onLost();
        },
      });
      name = nameOf(host, listener.port);
      listeners.set(name, listener);
      if (socket.destroyed) close(name);
      note('forward');
      return wanted === 0 ? { port: listener.port } : true;
    } catch (err) {
      free();
      logger.debug({ err, port: wanted }, 'a port of the sandbox could not be listened on');
      return false;
    }
  };
  const close = (name: string): boolean => {
    const listener = listeners.get(name);
    if (listener === undefined) return false;
    listeners.delete(name);
    limits.listeners.free(sandboxId);
    listener[Symbol.dispose]();
    return true;
  };
  return {
    serve: async ({ kind, host, port }) => (kind === 'cancel' ? close(nameOf(host, port)) : await forward(host, port)),
    [Symbol.dispose]() {
      for (const name of [...listeners.keys()]) close(name);
    },
  };
}

const nameOf = (host: string, port: number): string => `${host.toLowerCase()} ${String(port)}`;
