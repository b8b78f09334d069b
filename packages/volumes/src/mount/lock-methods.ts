import { noEnd } from '@soulbox/fuse';
import type { FuseContext, FuseFs } from '@soulbox/fuse';
import type { FileLocks } from '../locks/file-locks.ts';
import type { Note } from '../metadata/metadata.ts';

type LockMethods = Required<Pick<FuseFs, 'flush' | 'release' | 'getlk' | 'setlk' | 'flock'>>;

/** Locks between all mounts of a volume. */
export function lockMethods(locks: FileLocks, mount: string): LockMethods {
  const done =
    (context: FuseContext): Note<void> =>
    () => ({ mount, unique: context.unique, reply: context.encodeReply(undefined) });
  return {
    flush: (ino, _fh, owner) => locks.release({ ino, kind: 'posix', mount, owner }),
    release: (ino, _fh, owner) =>
      owner === undefined ? undefined : locks.release({ ino, kind: 'flock', mount, owner }),
    getlk: (ino, _fh, owner, lock) => {
      const found = locks.find({ ino, kind: 'posix', mount, owner, lock });
      if (found === undefined) return undefined;
      const { type, start, end, pid } = found;
      return { type, start, end, pid };
    },
    setlk: (ino, _fh, owner, lock, wait, context) =>
      locks.set({ ino, kind: 'posix', mount, owner, lock }, wait ? context.signal : undefined, done(context)),
    flock: (ino, _fh, owner, type, wait, context) =>
      locks.set(
        { ino, kind: 'flock', mount, owner, lock: { type, start: 0, end: noEnd, pid: context.pid } },
        wait ? context.signal : undefined,
        done(context),
      ),
  };
}
