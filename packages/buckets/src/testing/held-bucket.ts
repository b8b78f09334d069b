import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { FuseContext, FuseFs } from '@soulbox/fuse';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { onTestFinished } from 'vitest';
import { createReadBudget } from '../content/read-budget.ts';
import { createScratchSpace } from '../content/scratch.ts';
import { createBucketFs } from '../create-bucket-fs.ts';

/** What the kernel says of a request. */
export function requestOf({ isResent }: { readonly isResent: boolean }): FuseContext {
  return {
    ...{ uid: 0, gid: 0, pid: 1, unique: 1, isResent, encodeReply: () => Buffer.alloc(0) },
    signal: new AbortController().signal,
  };
}

export interface HeldBucket {
  readonly fs: Required<FuseFs>;
  readonly store: ObjectStore;
  /** The next answer of `stat` waits until `release` is called. */
  readonly hold: () => { readonly asked: Promise<unknown>; readonly release: () => void };
}

/** A bucket without the kernel. It remembers nothing of the store. */
export async function openBucket(): Promise<HeldBucket> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-bucket-'));
  const store = await openObjectStore(`file://${join(folder, 'store')}`);
  let held: { readonly asked: () => void; readonly released: Promise<unknown> } | undefined;
  const bucket = createBucketFs(
    {
      ...store,
      async stat(key, options) {
        const info = await store.stat(key, options);
        const wait = held;
        held = undefined;
        wait?.asked();
        await wait?.released;
        return info;
      },
    },
    {
      ...{ folder: join(folder, 'state'), rememberMs: 0 },
      ...{ space: createScratchSpace(1024 ** 2), budget: createReadBudget(1024 ** 2) },
    },
  );
  onTestFinished(async () => {
    await bucket[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await removeTree(folder);
  });
  return {
    store,
    fs: bucket.fs as Required<FuseFs>,
    hold() {
      const asked = Promise.withResolvers<undefined>();
      const released = Promise.withResolvers<undefined>();
      held = { asked: () => asked.resolve(undefined), released: released.promise };
      return { asked: asked.promise, release: () => released.resolve(undefined) };
    },
  };
}
