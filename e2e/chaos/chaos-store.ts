import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { makeTestDirectory } from '@soulbox/testing';

/** An object store in a folder, to which a server uploads what sleeps while it is killed. */
export interface ChaosStore extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>;
  /** What the store has of sandboxes and snapshots, although none is left, one line each. Waits for deletions. */
  leftovers(): Promise<string[]>;
}

/** The server deletes behind its answers, some seconds later. */
const settleMs = 60_000;

/** `undefined` without `isWanted`. */
export async function openChaosStore(isWanted: boolean): Promise<ChaosStore | undefined> {
  if (!isWanted) return undefined;
  const folder = await makeTestDirectory('chaos-store-');
  const [store, keyFile] = [join(folder, 'store'), join(folder, 'storage.key')];
  await writeFile(keyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  return {
    environment: {
      SOULBOX_STORAGE: `file://${store}`,
      SOULBOX_STORAGE_KEY_FILE: keyFile,
      // As little as possible, so that later resumes fetch.
      SOULBOX_STORAGE_LOCAL_MB: '1',
    },
    async leftovers() {
      const giveUpAt = Date.now() + settleMs;
      for (;;) {
        const found = await listOfSandboxes(store);
        if (found.length === 0 || Date.now() > giveUpAt) return found;
        await sleep(500);
      }
    },
    [Symbol.asyncDispose]: async () => await removeTree(folder),
  };
}

async function listOfSandboxes(store: string): Promise<string[]> {
  const entries = await readdir(store, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(store, join(parentPath, name)))
    .filter((path) => /^servers\/[^/]+\/(?:records|index\/(?:states|disks|layers))\//.test(path))
    .map((path) => `stored ${path}`);
}
