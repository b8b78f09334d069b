import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FuseContext, FuseFs } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import { createOpenFiles } from './content/open-files.ts';
import type { ReadBudget } from './content/read-budget.ts';
import type { ScratchSpace } from './content/scratch.ts';
import { translated, unlessInterrupted } from './faults.ts';
import { absentMs, factsMs, lastUploadsMs } from './limits.ts';
import { fileMethods } from './mount/file-methods.ts';
import { folderMethods } from './mount/folder-methods.ts';
import { nameMethods } from './mount/name-methods.ts';
import { rename } from './mount/rename.ts';
import type { BucketMount } from './mount/bucket-mount.ts';
import { createFacts } from './names/facts.ts';
import { openMountState } from './state/mount-state.ts';

export interface BucketFsOptions {
  /** The beginning of all keys in the mount: empty, or it ends with `/`. */
  readonly prefix?: string;
  /** Asked at each call. Default: it is not. */
  readonly isReadOnly?: () => boolean;
  /** Of this mount alone, on a local disk: what the kernel knows of it, and files that are being changed. */
  readonly folder: string;
  /** Room for files that are being changed, and for what is read in advance. Several mounts can share both. */
  readonly space: ScratchSpace;
  readonly budget: ReadBudget;
  /** How long names, sizes and lists are remembered. Milliseconds, default 2000. */
  readonly rememberMs?: number;
  /** What was written to a file is lost, and no program hears of it. */
  readonly onLoss?: (error: unknown) => void;
}

export interface BucketFs extends AsyncDisposable {
  /** Its `destroy` deletes the folder of the mount. */
  readonly fs: FuseFs;
  /** Writes all open files to the store. Throws the errors of the store. */
  sync(): Promise<void>;
  // Disposing leaves the mount to the next process, which gets the same folder.
}

/** A bucket as a file system of one mount (docs/buckets.md has what programs can rely on). */
export function createBucketFs(store: ObjectStore, options: BucketFsOptions): BucketFs {
  const { prefix = '', isReadOnly = () => false, folder, space, budget, rememberMs = factsMs } = options;
  const { onLoss = () => undefined } = options;
  const state = openMountState(folder, prefix);
  const facts = createFacts(store, rememberMs);
  const told = new Map<number, string>();
  const files = createOpenFiles({
    ...{ store, state, space, budget, onLoss, folder: join(folder, 'scratch') },
    onWritten({ nodeId, version }, key) {
      if (version !== undefined) told.set(nodeId, version);
      facts.change(key);
    },
  });
  const mount: BucketMount = {
    ...{ store, state, facts, files, told, folderMs: Date.now(), absentMs: Math.min(absentMs, rememberMs) },
    get isReadOnly() {
      return isReadOnly();
    },
  };
  const flushAll = async (onError: (error: unknown) => void): Promise<void> => {
    for (const file of [...files.all()]) await files.flush(file).catch(onError);
  };
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await files.close();
    state[Symbol.dispose]();
  };
  return {
    async sync() {
      const errors: unknown[] = [];
      await flushAll((error) => errors.push(error));
      if (errors.length > 0) throw errors[0];
    },
    fs: {
      init: async () => await files.adopt(),
      ...guarded({ ...nameMethods(mount), ...fileMethods(mount), ...folderMethods(mount), rename: renameOf(mount) }),
      forget(nodeId) {
        told.delete(nodeId);
        state.forget(nodeId);
      },
      async destroy() {
        const late = new AbortController();
        await Promise.race([
          flushAll(onLoss),
          sleep(lastUploadsMs, undefined, { signal: late.signal, ref: false }).catch(() => undefined),
        ]);
        late.abort();
        await close();
        await rm(folder, { recursive: true, force: true });
      },
    },
    [Symbol.asyncDispose]: close,
  };
}

function renameOf(mount: BucketMount): NonNullable<FuseFs['rename']> {
  return async (parent, name, newParent, newName, flags, context) =>
    await rename(mount, { parent, name, newParent, newName, flags }, context);
}

type Method = (...args: readonly unknown[]) => unknown;

/** Their work may go on when nobody waits for it: it hands out nothing, and uses no memory of the session. */
const interruptible = new Set(['lookup', 'getattr', 'read', 'flush', 'fsync', 'readdir']);

/** Errors of the store become those of programs, and a signal ends the wait for a slow store. */
function guarded<Methods extends object>(methods: Methods): Methods {
  const guard =
    (method: Method, isInterruptible: boolean): Method =>
    (...args) => {
      const result = method(...args);
      if (!(result instanceof Promise)) return result;
      return isInterruptible ? unlessInterrupted(result, (args.at(-1) as FuseContext).signal) : translated(result);
    };
  const entries = Object.entries(methods).map(
    ([name, method]) => [name, guard(method as Method, interruptible.has(name))] as const,
  );
  return Object.fromEntries(entries) as Methods;
}
