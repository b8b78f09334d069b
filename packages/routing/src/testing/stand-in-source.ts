import { once } from 'node:events';
import { connect } from 'node:net';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { SandboxRoute } from '@soulbox/contract';
import type { RouteSource } from '../route-source.ts';

/** A runner whose sandboxes are local servers. */
export interface StandInSource extends RouteSource {
  set(sandboxId: string, route?: Partial<SandboxRoute>): void;
  remove(sandboxId: string): void;
  /** Does what the runner does before it saves or ends a sandbox. */
  cutOff(sandboxId: string): Promise<void>;
  /** Ports of this host, by sandbox. */
  readonly ports: Map<string, number>;
  readonly visits: string[];
  /** Marks a sandbox that has no route yet and will have one in a moment. */
  expect(sandboxId: string): void;
  readonly woken: string[];
  /** Metadata keys, by sandbox. */
  readonly metadataKeys: Map<string, readonly string[]>;
}

export function createStandInSource(): StandInSource {
  const routes = new Map<string, SandboxRoute>();
  const expected = new Set<string>();
  const changes = new Set<(sandboxId: string) => void>();
  const goners = new Set<(sandboxId: string) => unknown>();
  const changed = (sandboxId: string): void => {
    for (const listener of changes) listener(sandboxId);
  };
  const source: StandInSource = {
    ports: new Map(),
    visits: [],
    woken: [],
    metadataKeys: new Map(),
    hasMetadata: (sandboxId, key) => source.metadataKeys.get(sandboxId)?.includes(key) === true,
    set(sandboxId, route = {}) {
      expected.delete(sandboxId);
      routes.set(sandboxId, {
        sandboxId,
        trafficAccessToken: undefined,
        envdAccessToken: new Secret(`token of ${sandboxId}`),
        maskRequestHost: undefined,
        state: 'running',
        autoResume: false,
        comesBack: false,
        waitsForRoom: false,
        countsVisits: true,
        httpsPorts: [],
        ...route,
      });
      changed(sandboxId);
    },
    remove(sandboxId) {
      expected.delete(sandboxId);
      routes.delete(sandboxId);
      changed(sandboxId);
    },
    async cutOff(sandboxId) {
      await Promise.all([...goners].map(async (listener) => await listener(sandboxId)));
    },
    routes: () => [...routes.values()],
    onChange(listener) {
      changes.add(listener);
      return () => changes.delete(listener);
    },
    onGone(listener) {
      goners.add(listener);
      return () => goners.delete(listener);
    },
    onOpened: () => () => undefined,
    isExpected: (sandboxId) => expected.has(sandboxId),
    expect(sandboxId) {
      expected.add(sandboxId);
      changed(sandboxId);
    },
    find: (sandboxId) => routes.get(sandboxId),
    findBySignature: () => undefined,
    findByAccessToken: () => undefined,
    signatureTokens: () => routes.size,
    refresh: async () => await Promise.resolve(),
    async dial(sandboxId, port) {
      const local = source.ports.get(sandboxId);
      if (local === undefined) throw new SoulBoxError('port_closed', `Port ${port} in the sandbox is closed.`);
      const socket = connect({ host: '127.0.0.1', port: local });
      socket.pause();
      await once(socket, 'connect');
      return socket;
    },
    async wake(sandboxId) {
      source.woken.push(sandboxId);
      source.set(sandboxId);
      await Promise.resolve();
    },
    settled: async () => await Promise.resolve(),
    enter(sandboxId) {
      source.visits.push(sandboxId);
      return { [Symbol.dispose]: () => void source.visits.splice(source.visits.indexOf(sandboxId), 1) };
    },
  };
  return source;
}
