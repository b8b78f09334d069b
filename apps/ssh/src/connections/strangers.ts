import type { Socket } from 'node:net';
import { addressGroup } from '@soulbox/base';
import { decidedMax, strangersMax, strangersOfAddressMax } from '../limits.ts';

/** The connections that have not signed in. */
export interface Strangers {
  /** False if its address has too many. May close the oldest one of all to make room. */
  admit(socket: Socket): boolean;
  /** While control decides about a signature, a flood of others does not push its connection out. */
  decide(socket: Socket, isDecided: boolean): void;
  /** It has signed in. */
  release(socket: Socket): void;
  readonly size: number;
}

export function createStrangers(): Strangers {
  // In order of their arrival.
  const groups = new Map<Socket, string>();
  const counts = new Map<string, number>();
  const waiting = new Set<Socket>();
  const release = (socket: Socket): void => {
    const group = groups.get(socket);
    if (group === undefined) return;
    groups.delete(socket);
    waiting.delete(socket);
    const left = (counts.get(group) ?? 1) - 1;
    if (left === 0) counts.delete(group);
    else counts.set(group, left);
  };
  return {
    admit(socket) {
      const group = addressGroup(socket.remoteAddress ?? '');
      const count = counts.get(group) ?? 0;
      if (count >= strangersOfAddressMax) return false;
      if (groups.size >= strangersMax) {
        const oldest = [...groups.keys()].find((one) => !waiting.has(one));
        if (oldest === undefined) return false;
        release(oldest);
        oldest.destroy();
      }
      groups.set(socket, group);
      counts.set(group, count + 1);
      socket.once('close', () => release(socket));
      return true;
    },
    decide(socket, isDecided) {
      if (isDecided) waiting.delete(socket);
      else if (groups.has(socket) && waiting.size < decidedMax) waiting.add(socket);
    },
    release,
    get size() {
      return groups.size;
    },
  };
}
