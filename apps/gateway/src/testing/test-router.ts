import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { isNodeError, Secret, SoulBoxError } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';

interface TestSandbox {
  route: SandboxRoute;
  accessToken: string;
  /** Port inside the sandbox to port of a local server that stands for it. */
  ports: Map<number, number>;
  connections: Set<Socket>;
}

/** A router whose sandboxes are local servers. */
export interface TestRouter extends SandboxRouter {
  add(sandboxId: string, facts?: { trafficToken?: string; maskRequestHost?: string; accessToken?: string }): void;
  /** What stands behind a port from now on; undefined closes it. */
  serve(sandboxId: string, port: number, localPort: number | undefined): void;
  kill(sandboxId: string): void;
  readonly dials: { sandboxId: string; port: number }[];
}

export function createTestRouter(): TestRouter {
  const sandboxes = new Map<string, TestSandbox>();
  const listeners = new Set<(sandboxId: string) => void>();
  const dials: { sandboxId: string; port: number }[] = [];

  const get = (sandboxId: string): TestSandbox => {
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox === undefined) throw new SoulBoxError('sandbox_not_found', `No sandbox ${sandboxId}`);
    return sandbox;
  };

  return {
    dials,
    add(sandboxId, facts = {}) {
      const trafficAccessToken = facts.trafficToken === undefined ? undefined : new Secret(facts.trafficToken);
      const route: SandboxRoute = {
        sandboxId,
        trafficAccessToken,
        maskRequestHost: facts.maskRequestHost,
        state: 'running',
        autoResume: false,
      };
      sandboxes.set(sandboxId, {
        route,
        accessToken: facts.accessToken ?? `token-of-${sandboxId}`,
        ports: new Map(),
        connections: new Set(),
      });
    },
    serve(sandboxId, port, localPort) {
      if (localPort === undefined) get(sandboxId).ports.delete(port);
      else get(sandboxId).ports.set(port, localPort);
    },
    kill(sandboxId) {
      const { connections } = get(sandboxId);
      sandboxes.delete(sandboxId);
      for (const listener of listeners) listener(sandboxId);
      for (const connection of connections) connection.destroy();
    },
    find: (sandboxId) => sandboxes.get(sandboxId)?.route,
    findBySignature(request, signature) {
      for (const { route, accessToken } of sandboxes.values())
        if (fileSignature(request, accessToken) === signature) return route;
      return undefined;
    },
    async wake(sandboxId) {
      await Promise.resolve(get(sandboxId));
    },
    enter: () => ({ [Symbol.dispose]: () => undefined }),
    async dial(sandboxId, port) {
      dials.push({ sandboxId, port });
      const sandbox = get(sandboxId);
      const localPort = sandbox.ports.get(port);
      if (localPort === undefined) throw new SoulBoxError('port_closed', `Nothing listens on ${port}`);
      const socket = connect({ host: '127.0.0.1', port: localPort, allowHalfOpen: true });
      try {
        await once(socket, 'connect');
      } catch (cause) {
        const reason = isNodeError(cause) && cause.code === 'ECONNREFUSED' ? 'port_closed' : 'internal';
        throw new SoulBoxError(reason, `Dialing ${port} failed`, { cause });
      }
      sandbox.connections.add(socket);
      socket.on('close', () => sandbox.connections.delete(socket));
      return socket;
    },
    onGone(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
