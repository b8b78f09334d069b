import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { isRunning } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';

/** A unit that waits for its part. */
export interface Arrival {
  /** Of the part. */
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly socket: Socket;
}

export interface Arrivals {
  add(arrival: Arrival): void;
  /** Undefined after `timeoutMs`. One call at a time for each name. */
  take(name: string, timeoutMs: number): Promise<Arrival | undefined>;
  /** Sends all waiting units away, and those that come later. */
  close(): void;
}

/** The name of the unit of a part. */
export const unitOf = (part: string): string => `soulbox-${part}.service`;

/** The name, without `.service`, of the systemd service that a process belongs to. */
export async function readUnit(pid: number): Promise<string | undefined> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  return /\/([\w-]+)\.service$/m.exec(groups)?.[1];
}

/** At most one unit waits for each part: a newer one replaces one that has ended meanwhile. */
export function createArrivals(): Arrivals {
  const waiting = new Map<string, Arrival>();
  const wanted = new Map<string, (arrival: Arrival) => void>();
  let isClosed = false;
  return {
    add(arrival) {
      const { name, socket } = arrival;
      if (isClosed) {
        socket.destroy();
        return;
      }
      const want = wanted.get(name);
      wanted.delete(name);
      if (want !== undefined) {
        want(arrival);
        return;
      }
      waiting.get(name)?.socket.destroy();
      waiting.set(name, arrival);
    },
    async take(name, timeoutMs) {
      const present = waiting.get(name);
      waiting.delete(name);
      if (present !== undefined && isRunning(present.identity)) return present;
      const { promise, resolve } = Promise.withResolvers<Arrival | undefined>();
      wanted.set(name, resolve);
      const timer = setTimeout(() => {
        wanted.delete(name);
        resolve(undefined);
      }, timeoutMs);
      const arrival = await promise;
      clearTimeout(timer);
      return arrival;
    },
    close() {
      isClosed = true;
      for (const { socket } of waiting.values()) socket.destroy();
      waiting.clear();
    },
  };
}
