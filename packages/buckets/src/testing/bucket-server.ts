import { serveInherited } from '@soulbox/fuse';
import { openObjectStore } from '@soulbox/storage/objects';
import type { OpenStoreOptions } from '@soulbox/storage/objects';
import { createReadBudget } from '../content/read-budget.ts';
import { createScratchSpace } from '../content/scratch.ts';
import { createBucketFs } from '../create-bucket-fs.ts';

/** What a server of a test serves, as JSON in its first argument. */
export interface ServedBucket extends OpenStoreOptions {
  readonly url: string;
  readonly folder: string;
  readonly prefix?: string;
  readonly isReadOnly?: boolean;
  readonly rememberMs?: number;
  readonly spaceBytes?: number;
}

const print = (word: string, error: unknown): void => {
  process.stderr.write(`${word} ${error instanceof Error ? (error.stack ?? '') : String(error)}\n`);
};
const {
  url,
  credentials,
  limits,
  spaceBytes = 1024 ** 3,
  isReadOnly = false,
  ...options
} = JSON.parse(process.argv[2] ?? '') as ServedBucket;
const store = await openObjectStore(url, { credentials, limits });
await serveInherited(
  () =>
    createBucketFs(store, {
      ...options,
      isReadOnly: () => isReadOnly,
      space: createScratchSpace(spaceBytes),
      budget: createReadBudget(64 * 1024 * 1024),
      onLoss: (error) => print('loss', error),
    }).fs,
  { onFault: (error) => print('fault', error) },
);
await store[Symbol.asyncDispose]();
