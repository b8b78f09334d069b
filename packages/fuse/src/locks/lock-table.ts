import { FuseError, noEnd, type Awaitable, type FuseLock, type FuseLockOwner } from '../fuse-fs.ts';
import { findConflict, replaceLocks, type HeldLock } from './ranges.ts';

/** Locks of the nodes of a file system, for the methods `getlk`, `setlk` and `flock` of all its mounts. */
export interface LockTable {
  /** The lock that would prevent this one. */
  readonly test: (nodeId: number, owner: FuseLockOwner, lock: FuseLock) => FuseLock | undefined;
  /** EAGAIN if it must not wait; EDEADLK, ENOLCK, or EINTR by the signal, if it must. */
  readonly set: (nodeId: number, owner: FuseLockOwner, lock: FuseLock, wait?: AbortSignal) => Awaitable<void>;
  readonly flock: (nodeId: number, owner: FuseLockOwner, type: FuseLock['type'], wait?: AbortSignal) => Awaitable<void>;
  /** For `flush`: POSIX locks of the owner go. */
  readonly releaseOwner: (nodeId: number, owner: FuseLockOwner) => void;
  /** Locks that are held, of both kinds. */
  readonly size: () => number;
}

interface Waiter {
  readonly wanted: HeldLock;
  readonly grant: () => void;
}

/** Locks of one kind on one node. */
interface Queue {
  held: readonly HeldLock[];
  readonly waiters: Set<Waiter>;
}

const grant = ({ held }: Queue, wanted: HeldLock): HeldLock[] =>
  replaceLocks(held, wanted, ({ owner }) => owner === wanted.owner);

/** `maxLocks`: in the whole table; a further one gets ENOLCK. */
export function createLockTable(maxLocks = 65_536): LockTable {
  const posix = new Map<number, Queue>();
  const flocks = new Map<number, Queue>();
  let count = 0;

  function put(table: Map<number, Queue>, nodeId: number, queue: Queue, held: readonly HeldLock[]): void {
    count += held.length - queue.held.length;
    queue.held = held;
    if (held.length === 0 && queue.waiters.size === 0) table.delete(nodeId);
    else table.set(nodeId, queue);
  }

  /** Whom an owner waits for, and so on: whether that leads to `owner`. flock has no such check. */
  function wouldDeadlock(owner: FuseLockOwner, blocker: FuseLockOwner): boolean {
    const seen = new Set<FuseLockOwner>();
    for (let next = [blocker]; next.length > 0;) {
      if (next.includes(owner)) return true;
      for (const name of next) seen.add(name);
      const blockers = [...posix.values()].flatMap(({ held, waiters }) =>
        [...waiters]
          .filter(({ wanted }) => next.includes(wanted.owner))
          .map(({ wanted }) => findConflict(held, wanted)?.owner),
      );
      next = [...new Set(blockers)].filter((name) => name !== undefined).filter((name) => !seen.has(name));
    }
    return false;
  }

  /** Grants what the change of a queue made possible, the first come first. */
  function wake(table: Map<number, Queue>, nodeId: number): void {
    const queue = table.get(nodeId);
    if (queue === undefined) return;
    for (const waiter of queue.waiters) {
      if (findConflict(queue.held, waiter.wanted) !== undefined) continue;
      queue.waiters.delete(waiter);
      put(table, nodeId, queue, grant(queue, waiter.wanted));
      waiter.grant();
    }
    put(table, nodeId, queue, queue.held);
  }

  function wait(
    ...[table, nodeId, queue, wanted, signal]: [Map<number, Queue>, number, Queue, HeldLock, AbortSignal]
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        queue.waiters.delete(waiter);
        put(table, nodeId, queue, queue.held);
        reject(new FuseError('EINTR'));
      };
      const waiter: Waiter = {
        wanted,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      if (signal.aborted) {
        reject(new FuseError('EINTR'));
        return;
      }
      queue.waiters.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  function acquire(table: Map<number, Queue>, nodeId: number, wanted: HeldLock, signal?: AbortSignal): Awaitable<void> {
    const queue = table.get(nodeId) ?? { held: [], waiters: new Set() };
    const conflict = findConflict(queue.held, wanted);
    if (conflict === undefined) {
      if (wanted.type !== 'none' && count >= maxLocks) throw new FuseError('ENOLCK');
      put(table, nodeId, queue, grant(queue, wanted));
      wake(table, nodeId);
      return;
    }
    if (signal === undefined) throw new FuseError('EAGAIN');
    if (table === posix && wouldDeadlock(wanted.owner, conflict.owner)) throw new FuseError('EDEADLK');
    return wait(table, nodeId, queue, wanted, signal);
  }

  const everything = { start: 0, end: noEnd, pid: 0 } as const;
  return {
    test: (nodeId, owner, lock) => findConflict(posix.get(nodeId)?.held ?? [], { ...lock, owner }),
    set: (nodeId, owner, lock, signal) => acquire(posix, nodeId, { ...lock, owner }, signal),
    flock: (nodeId, owner, type, signal) => {
      // A conversion gives up the old lock first, as in Linux: two that convert at once would wait for each other.
      if (type !== 'none') {
        const queue = flocks.get(nodeId);
        const old = queue?.held.find((lock) => lock.owner === owner);
        if (old?.type === type) return;
        if (old !== undefined) void acquire(flocks, nodeId, { ...everything, owner, type: 'none' });
      }
      return acquire(flocks, nodeId, { ...everything, owner, type }, signal);
    },
    releaseOwner: (nodeId, owner) => {
      if (posix.has(nodeId)) void acquire(posix, nodeId, { ...everything, owner, type: 'none' });
    },
    size: () => count,
  };
}
