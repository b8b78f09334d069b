import { FuseError, locksOverlap, noEnd, replaceLocks } from '@soulbox/fuse';
import type { FuseLock } from '@soulbox/fuse';
import { lockWaitersMax, locksMax } from '../limits.ts';
import type { HeldLock, LockRecords, Note } from '../metadata/metadata.ts';

export interface LockRequest {
  readonly ino: number;
  readonly kind: HeldLock['kind'];
  readonly mount: string;
  readonly owner: string;
  readonly lock: FuseLock;
}

/** Locks of all mounts of a volume. Those that are held are in the metadata, so the next process has them too. */
export interface FileLocks {
  /** The lock of another owner that would prevent this one. */
  readonly find: (request: LockRequest) => HeldLock | undefined;
  /** Throws EAGAIN; with `wait`, EINTR when it aborts, and EDEADLK for owners that would wait for each other. */
  readonly set: (request: LockRequest, wait: AbortSignal | undefined, note?: Note<void>) => Promise<void>;
  /** Releases all that an owner has on a file. Undefined if it has nothing. */
  readonly release: (who: Omit<LockRequest, 'lock'>, note?: Note<void>) => Promise<void> | undefined;
  /** Forgets the locks of a mount, whose records the caller removes. */
  readonly removeMount: (mount: string) => void;
}

interface Waiter {
  readonly request: LockRequest;
  readonly grant: () => void;
  readonly fail: (error: FuseError) => void;
}

const everything = { type: 'none', start: 0, end: noEnd, pid: 0 } as const;

export async function createFileLocks(records: LockRecords): Promise<FileLocks> {
  const held = new Map<number, HeldLock[]>();
  const waiting = new Map<number, Set<Waiter>>();
  let count = 0;
  let waiters = 0;
  for (const { ino, ...lock } of await records.list()) {
    held.set(ino, [...(held.get(ino) ?? []), lock]);
    count += 1;
  }

  const isOf = ({ kind, mount, owner }: HeldLock, request: Omit<LockRequest, 'lock'>): boolean =>
    kind === request.kind && mount === request.mount && owner === request.owner;
  const blockers = (request: LockRequest): HeldLock[] =>
    (held.get(request.ino) ?? []).filter(
      (lock) =>
        lock.kind === request.kind &&
        !isOf(lock, request) &&
        locksOverlap(lock, request.lock) &&
        (lock.type === 'write' || request.lock.type === 'write'),
    );
  const put = (ino: number, locks: HeldLock[]): void => {
    count += locks.length - (held.get(ino)?.length ?? 0);
    if (locks.length === 0) held.delete(ino);
    else held.set(ino, locks);
  };
  const wake = (ino: number): void => {
    for (const waiter of waiting.get(ino) ?? []) if (blockers(waiter.request).length === 0) waiter.grant();
  };
  /** Whether somebody that `request` would wait for waits, over any number of others, for its owner. */
  const isDeadlock = (request: LockRequest): boolean => {
    const all = [...waiting.values()].flatMap((some) => [...some]);
    const seen = new Set<Waiter>();
    const leadsBack = (next: LockRequest): boolean =>
      blockers(next).some((blocker) => {
        if (blocker.mount === request.mount && blocker.owner === request.owner) return true;
        return all.some((waiter) => {
          if (seen.has(waiter) || !isOf(blocker, waiter.request)) return false;
          seen.add(waiter);
          return leadsBack(waiter.request);
        });
      });
    return request.kind === 'posix' && leadsBack(request);
  };
  const apply = async (request: LockRequest, note: Note<void> | undefined): Promise<void> => {
    const { ino, kind, mount, owner, lock } = request;
    const before = held.get(ino) ?? [];
    const own = before.filter((one) => isOf(one, request));
    const others = before.filter((one) => !isOf(one, request));
    const after = replaceLocks(own, { kind, mount, owner, ...lock }, () => true);
    if (after.length > own.length && count + after.length - own.length > locksMax) throw new FuseError('ENOLCK');
    put(ino, [...others, ...after]);
    wake(ino);
    const [had, has] = [new Set(own), new Set<HeldLock>(after)];
    const removed = own.filter((one) => !has.has(one));
    const added = after.filter((one) => !had.has(one));
    await records.change(ino, { removed, added }, note);
  };
  const waitFor = (request: LockRequest, signal: AbortSignal): Promise<void> => {
    if (waiters >= lockWaitersMax) throw new FuseError('ENOLCK');
    if (signal.aborted) throw new FuseError('EINTR');
    const { ino } = request;
    return new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        waiters -= 1;
        signal.removeEventListener('abort', interrupt);
        const queue = waiting.get(ino);
        queue?.delete(waiter);
        if (queue?.size === 0) waiting.delete(ino);
      };
      const waiter: Waiter = {
        request,
        grant() {
          leave();
          resolve();
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      const interrupt = (): void => {
        waiter.fail(new FuseError('EINTR'));
      };
      waiters += 1;
      signal.addEventListener('abort', interrupt);
      const queue = waiting.get(ino);
      if (queue === undefined) waiting.set(ino, new Set([waiter]));
      else queue.add(waiter);
    });
  };

  return {
    find: (request) => blockers(request)[0],
    async set(request, wait, note) {
      const isRelease = request.lock.type === 'none';
      // As on Linux, a flock that is converted is given up first: two that wait for each other's would wait forever.
      if (request.kind === 'flock' && !isRelease && blockers(request).length > 0) {
        const own = (held.get(request.ino) ?? []).some((lock) => isOf(lock, request));
        if (own) await apply({ ...request, lock: everything }, undefined);
      }
      while (!isRelease && blockers(request).length > 0) {
        if (wait === undefined) throw new FuseError('EAGAIN');
        if (isDeadlock(request)) throw new FuseError('EDEADLK');
        await waitFor(request, wait);
      }
      await apply(request, note);
    },
    release(who, note) {
      if (!(held.get(who.ino) ?? []).some((lock) => isOf(lock, who))) return undefined;
      return apply({ ...who, lock: everything }, note);
    },
    removeMount(mount) {
      for (const queue of waiting.values())
        for (const waiter of queue) if (waiter.request.mount === mount) waiter.fail(new FuseError('EINTR'));
      for (const [ino, locks] of held) {
        put(
          ino,
          locks.filter((lock) => lock.mount !== mount),
        );
        wake(ino);
      }
    },
  };
}
