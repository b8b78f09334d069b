import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isNodeError, Secret, SoulBoxError } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';

interface TestFacts {
  readonly trafficToken?: string;
  readonly maskRequestHost?: string;
  readonly httpsPorts?: readonly number[];
  readonly accessToken?: string;
  /** Whether envd requires the access token. The token makes the signatures in any case. */
  readonly secure?: boolean;
  readonly autoResume?: boolean;
  readonly comesBack?: boolean;
  readonly waitsForRoom?: boolean;
}

interface TestSandbox {
  route: SandboxRoute;
  accessToken: string;
  /** The course of the next wake. */
  waking: WakePlan;
  wake: Promise<void> | undefined;
  /** Maps a port inside the sandbox to the port of a local server that stands in for it. */
  ports: Map<number, number>;
  connections: Set<Socket>;
}

/** The duration of a wake, and the error that it fails with. */
export interface WakePlan {
  readonly delayMs?: number;
  readonly failure?: Error;
}

/** A router whose sandboxes are local servers. */
export interface TestRouter extends SandboxRouter {
  add(sandboxId: string, facts?: TestFacts): void;
  /** Opens a connection that nobody requested. */
  openAhead(sandboxId: string, port: number): Promise<void>;
  /** Sets the server behind a port. Undefined closes the port. */
  serve(sandboxId: string, port: number, localPort: number | undefined): void;
  kill(sandboxId: string): void;
  /** Cuts its connections and refuses new ones until a `wake`. */
  pause(sandboxId: string, waking?: WakePlan): void;
  /** The sandboxes that were woken, in order. Calls that shared a wake count once. */
  readonly wakes: string[];
  /** The currently open visits. */
  readonly visits: readonly string[];
  readonly dials: { sandboxId: string; port: number }[];
}

export function createTestRouter(): TestRouter {
  const sandboxes = new Map<string, TestSandbox>();
  const listeners = new Set<(sandboxId: string) => unknown>();
  const openedListeners = new Set<Parameters<SandboxRouter['onOpened']>[0]>();
  const dials: { sandboxId: string; port: number }[] = [];
  const wakes: string[] = [];
  const visits: string[] = [];

  const get = (sandboxId: string): TestSandbox => {
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox === undefined) throw new SoulBoxError('sandbox_not_found', `No sandbox ${sandboxId}`);
    return sandbox;
  };

  const cutOff = (sandboxId: string, connections: Set<Socket>): void => {
    for (const listener of listeners) listener(sandboxId);
    for (const connection of connections) connection.destroy();
  };

  const wakeOnce = async (sandbox: TestSandbox): Promise<void> => {
    wakes.push(sandbox.route.sandboxId);
    const { delayMs = 0, failure } = sandbox.waking;
    await delay(delayMs);
    if (failure !== undefined) throw failure;
    get(sandbox.route.sandboxId);
    sandbox.route = { ...sandbox.route, state: 'running' };
  };

  return {
    dials,
    wakes,
    visits,
    add(sandboxId, facts = {}) {
      const trafficAccessToken = facts.trafficToken === undefined ? undefined : new Secret(facts.trafficToken);
      const accessToken = facts.accessToken ?? `token-of-${sandboxId}`;
      const route: SandboxRoute = {
        sandboxId,
        trafficAccessToken,
        envdAccessToken: facts.secure === true ? new Secret(accessToken) : undefined,
        maskRequestHost: facts.maskRequestHost,
        state: 'running',
        autoResume: facts.autoResume ?? false,
        comesBack: facts.comesBack ?? false,
        waitsForRoom: facts.waitsForRoom ?? false,
        countsVisits: true,
        httpsPorts: facts.httpsPorts ?? [],
      };
      sandboxes.set(sandboxId, {
        route,
        accessToken,
        waking: {},
        wake: undefined,
        ports: new Map(),
        connections: new Set(),
      });
    },
    async openAhead(sandboxId, port) {
      const connection = await this.dial(sandboxId, port);
      if (!(connection instanceof Socket)) throw new Error('not a socket');
      for (const listener of openedListeners) listener(sandboxId, port, connection);
    },
    serve(sandboxId, port, localPort) {
      if (localPort === undefined) get(sandboxId).ports.delete(port);
      else get(sandboxId).ports.set(port, localPort);
    },
    kill(sandboxId) {
      const { connections } = get(sandboxId);
      sandboxes.delete(sandboxId);
      cutOff(sandboxId, connections);
    },
    pause(sandboxId, waking = {}) {
      const sandbox = get(sandboxId);
      sandbox.route = { ...sandbox.route, state: 'paused' };
      sandbox.waking = waking;
      cutOff(sandboxId, sandbox.connections);
    },
    find: (sandboxId) => sandboxes.get(sandboxId)?.route,
    findBySignature(request, signature) {
      for (const { route, accessToken } of sandboxes.values())
        if (fileSignature(request, accessToken) === signature) return route;
      return undefined;
    },
    signatureTokens: () => sandboxes.size,
    findByAccessToken: (token) =>
      [...sandboxes.values()].find(({ route }) => route.envdAccessToken?.equals(token) === true)?.route,
    async wake(sandboxId) {
      const sandbox = get(sandboxId);
      if (sandbox.route.state === 'running') return;
      sandbox.wake ??= wakeOnce(sandbox).finally(() => (sandbox.wake = undefined));
      await sandbox.wake;
    },
    async settled(sandboxId) {
      const sandbox = get(sandboxId);
      await delay(sandbox.waking.delayMs ?? 0);
      if (sandbox.route.comesBack) sandbox.route = { ...sandbox.route, state: 'running' };
    },
    enter(sandboxId) {
      visits.push(sandboxId);
      return { [Symbol.dispose]: () => void visits.splice(visits.indexOf(sandboxId), 1) };
    },
    async dial(sandboxId, port) {
      dials.push({ sandboxId, port });
      const sandbox = get(sandboxId);
      if (sandbox.route.state === 'paused') throw new SoulBoxError('sandbox_not_found', `${sandboxId} is paused`);
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
    onOpened(listener) {
      openedListeners.add(listener);
      return () => openedListeners.delete(listener);
    },
    refresh: async () => await Promise.resolve(),
  };
}
