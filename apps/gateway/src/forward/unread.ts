import type { Exchange } from '../exchange/exchange.ts';

/** What one exchange makes the server hold in memory because its reader is slower than its sender. */
export interface Holding {
  /** So much waits from now on. */
  add(bytes: number): void;
  /** So much went out. */
  release(bytes: number): void;
}

/** Counts what waits for slow readers, and ends exchanges before it becomes too much. */
export interface Unread {
  /** `owner` names who answers for it: a sandbox, a key or an address. Everything is released when the exchange closes. */
  open(exchange: Exchange, owner: string): Holding;
  readonly totalBytes: number;
}

interface Entry {
  readonly exchange: Exchange;
  readonly owner: string;
  bytes: number;
  isOver: boolean;
}

interface Owner {
  bytes: number;
  /** Those that hold something; the one that has not moved for longest first. */
  readonly entries: Set<Entry>;
}

/**
 * Many readers that take nothing hold one buffer each, whatever the number of their connections. Over a limit the exchange that has not
 * moved for longest is reset: among those of the owner that is over its own limit, or among all.
 */
export function createUnread(limits: { totalBytes: number; ownerBytes: number }): Unread {
  const owners = new Map<string, Owner>();
  /** In the order of their last move, as in each owner. */
  const all = new Set<Entry>();
  let total = 0;

  const ownerOf = (name: string): Owner => {
    const owner = owners.get(name) ?? { bytes: 0, entries: new Set() };
    owners.set(name, owner);
    return owner;
  };

  const move = (entry: Entry, bytes: number): void => {
    const owner = ownerOf(entry.owner);
    entry.bytes += bytes;
    owner.bytes += bytes;
    total += bytes;
    owner.entries.delete(entry);
    all.delete(entry);
    if (entry.bytes > 0) {
      owner.entries.add(entry);
      all.add(entry);
    } else if (owner.entries.size === 0) owners.delete(entry.owner);
  };

  const end = (entry: Entry): void => {
    if (entry.isOver) return;
    entry.isOver = true;
    move(entry, -entry.bytes);
  };

  const resetFirst = ([first]: ReadonlySet<Entry>): void => {
    if (first === undefined) return;
    end(first);
    first.exchange.reset();
  };

  const enforce = (owner: Owner): void => {
    while (owner.bytes > limits.ownerBytes) resetFirst(owner.entries);
    while (total > limits.totalBytes) resetFirst(all);
  };

  return {
    get totalBytes() {
      return total;
    },
    open(exchange, owner) {
      const entry: Entry = { exchange, owner, bytes: 0, isOver: false };
      exchange.onClose(() => end(entry));
      return {
        add(bytes) {
          if (entry.isOver) return;
          move(entry, bytes);
          enforce(ownerOf(owner));
        },
        release(bytes) {
          if (!entry.isOver) move(entry, -Math.min(bytes, entry.bytes));
        },
      };
    },
  };
}
