import { SoulBoxError } from '@soulbox/base';
import { kernelRandomId } from '../sys/kernel-random.ts';
import type { Watcher } from './watcher.ts';

/** Streams and polled watchers together. */
const maxWatchers = 1024;

/** All open watchers. Polled ones have an id. */
export interface WatcherTable {
  /** Throws limit_exceeded if there are too many. */
  open(watcher: () => Promise<Watcher>): Promise<Watcher>;
  close(watcher: Watcher): void;
  /** Returns the id for polling. It begins with `w` (E2B). */
  publish(watcher: Watcher): string;
  /** Throws watcher_not_found. */
  get(id: string): Watcher;
  remove(id: string): void;
}

export function createWatcherTable(): WatcherTable {
  const published = new Map<string, Watcher>();
  let openCount = 0;
  const table: WatcherTable = {
    async open(watcher) {
      if (openCount >= maxWatchers)
        throw new SoulBoxError('limit_exceeded', `At most ${maxWatchers} watchers can be open. Remove some.`);
      openCount += 1;
      try {
        return await watcher();
      } catch (error) {
        openCount -= 1;
        throw error;
      }
    },
    close(watcher) {
      openCount -= 1;
      watcher.close();
    },
    publish(watcher) {
      const id = `w${kernelRandomId(16)}`;
      published.set(id, watcher);
      return id;
    },
    get(id) {
      const watcher = published.get(id);
      if (watcher === undefined)
        throw new SoulBoxError('watcher_not_found', `watcher with id ${id.slice(0, 64)} not found`);
      return watcher;
    },
    remove(id) {
      table.close(table.get(id));
      published.delete(id);
    },
  };
  return table;
}
