import type { Exchange } from '../exchange/exchange.ts';

/** The memory that one exchange uses in the server because its reader is slower than its sender. */
export interface Holding {
  /** Records that this many more bytes are waiting. */
  add(bytes: number): void;
  /** Records that this many bytes were sent. */
  release(bytes: number): void;
}

/** Counts the data that waits for slow readers, and ends exchanges before it becomes too much. */
export interface Unread {
  /**
   * `owner` names the responsible party: a sandbox, a key or an address. Everything is released when the exchange
   * closes.
   */
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
  /** The exchanges that hold data, in order of their last move: the least recent one first. */
  readonly entries: Set<Entry>;
}

/**
 * Many readers that read nothing would hold one buffer each, on any number of connections. Above a limit, the exchange
 * that moved least recently is reset: one of the owner that exceeds its own limit, or one of all.
 */
export function createUnread(limits: { totalBytes: number; ownerBytes: number }): Unread {
  const owners = new Map<string, Owner>();
  /** In order of their last move, as for each owner. */
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
