import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What the kernel of a mount may keep of a volume, so that it does not ask for the same name and the same attributes
 * with every call. While a volume has one mount, only calls of that mount change it, and its kernel knows them: what it
 * keeps is never wrong. As soon as somebody else uses the volume, nothing new may be kept, and whoever makes changes waits
 * until what was kept has expired.
 */
export interface KernelCache {
  /** How long the kernel may keep what it is told now. */
  readonly ttlMs: () => number;
  /** Whether nothing is kept, and nothing will be. */
  isEmpty(): boolean;
  /** The volume has so many mounts now. Resolves when its mounts may be used: with several, none keeps anything. */
  setMounts(count: number): Promise<void>;
  /** Somebody who uses no mount wants to change the volume, and may when this resolves, until it is disposed. */
  share(): Promise<Disposable>;
}

/** Long enough for the calls of one loop of a program, short enough to be waited for. Milliseconds. */
const keptMs = 250;
/**
 * Since the last answer that may be kept. Longer than it is kept, because the time begins when the kernel gets the answer
 * to the program, which may not run at once. Milliseconds.
 */
const expiryMs = 500;
/** Changes without a mount come in series: only the first one waits. Milliseconds. */
const lingerMs = 5000;

export interface KernelCacheOptions {
  /** Whether mounts may keep what an earlier process has told them. */
  readonly mayBeKept: boolean;
  readonly mounts: number;
}

export function createKernelCache(
  { mayBeKept, mounts: initial }: KernelCacheOptions,
  now: () => number = () => performance.now(),
): KernelCache {
  let mounts = initial;
  let others = 0;
  let lingerUntil = -Infinity;
  let keptSince = mayBeKept ? now() : -Infinity;
  const isShared = (): boolean => mounts > 1 || others > 0 || now() < lingerUntil;
  const expire = async (): Promise<void> => {
    for (let left = keptSince + expiryMs - now(); left > 0; left = keptSince + expiryMs - now()) await sleep(left);
  };
  return {
    ttlMs() {
      if (isShared()) return 0;
      keptSince = now();
      return keptMs;
    },
    isEmpty: () => isShared() && keptSince + expiryMs <= now(),
    async setMounts(count) {
      mounts = count;
      if (count > 1) await expire();
    },
    async share() {
      others += 1;
      // With no mount at all, an earlier one has nothing left to use it for.
      if (mounts > 0) await expire();
      return {
        [Symbol.dispose]() {
          others -= 1;
          lingerUntil = now() + lingerMs;
        },
      };
    },
  };
}
