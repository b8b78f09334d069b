import { FuseError } from '@soulbox/fuse';
import type { FuseFs } from '@soulbox/fuse';

/** A file system whose contents can go away while it is mounted. */
export interface EndableFs {
  readonly fs: FuseFs;
  /** Every call from now on fails with EIO. Settled when all earlier ones have returned. */
  end(): Promise<void>;
}

const calls = [
  ...(['lookup', 'getattr', 'setattr', 'readlink', 'symlink', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename'] as const),
  ...(['link', 'open', 'create', 'tmpfile', 'read', 'write', 'flush', 'release', 'fsync', 'fallocate'] as const),
  ...(['lseek', 'opendir', 'readdir', 'releasedir', 'fsyncdir', 'statfs', 'setxattr', 'getxattr'] as const),
  ...(['listxattr', 'removexattr', 'getlk', 'setlk', 'flock'] as const),
] as const satisfies readonly (keyof FuseFs)[];

const gone = (): FuseError => new FuseError('EIO', 'The volume was deleted.');

type Method = (...args: readonly unknown[]) => unknown;

/** Calls wait until `usable` resolves. */
export function createEndableFs(inner: FuseFs, usable: Promise<void> = Promise.resolve()): EndableFs {
  const running = new Set<Promise<unknown>>();
  let hasEnded = false;
  let isUsable = false;
  void usable.then(() => (isUsable = true));
  const track = async (result: Promise<unknown>): Promise<unknown> => {
    running.add(result);
    try {
      return await result;
    } catch (error) {
      throw hasEnded ? gone() : error;
    } finally {
      running.delete(result);
    }
  };
  const guard =
    (method: Method): Method =>
    (...args) => {
      if (hasEnded) throw gone();
      const result = isUsable ? method(...args) : usable.then(() => method(...args));
      return result instanceof Promise ? track(result) : result;
    };
  const methods = calls
    .filter((name) => inner[name] !== undefined)
    .map((name) => [name, guard(inner[name] as unknown as Method)] as const);
  const { init, findReply, forget, destroy } = inner;
  return {
    fs: {
      ...(Object.fromEntries(methods) as unknown as FuseFs),
      ...(init === undefined ? {} : { init }),
      // What has no stored reply is called, and fails.
      findReply: (unique) => (hasEnded ? undefined : findReply?.(unique)),
      forget: (nodeId) => {
        if (!hasEnded) forget?.(nodeId);
      },
      destroy: async () => {
        if (!hasEnded) await track(Promise.resolve(destroy?.()));
      },
    },
    async end() {
      hasEnded = true;
      await Promise.allSettled(running);
    },
  };
}

/** The file system of a mount whose volume is gone already. */
export function createEndedFs(): FuseFs {
  const fail = (): never => {
    throw gone();
  };
  return Object.fromEntries(calls.map((name) => [name, fail])) as unknown as FuseFs;
}
