import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recoverFromStore } from '@soulbox/box/storage';
import { openObjectStore } from '@soulbox/storage/objects';
import { testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { readStorageKey } from '@soulbox/vault';
import { connectionTo } from './lab.ts';

const giveUpMs = 180_000;

export interface StoreOfServer {
  /** As in `SOULBOX_STORAGE`. */
  readonly url: string;
  readonly keyFile: string;
  readonly credentialsFile?: string;
}

/** Recovers the only server of a store, and returns its new data folder. The host has its templates. */
export async function recoverServer({ url, keyFile, credentialsFile }: StoreOfServer): Promise<string> {
  const dataDirectory = await mkdtemp(join(testDirectory, 'bench-recovered-'));
  await using store = await openObjectStore(url, credentialsFile === undefined ? {} : { credentialsFile });
  await recoverFromStore({
    ...{ store, storageKey: await readStorageKey(keyFile), serverId: undefined, dataDirectory, all: false },
    ...{ templatesDirectory: testTemplatesDirectory, onStep: () => undefined },
    signal: AbortSignal.timeout(giveUpMs),
  });
  return dataDirectory;
}

interface HostStorage {
  readonly state: string;
  readonly wanted: number;
  readonly uploaded: number;
  readonly volumes: { readonly behind: readonly unknown[] };
}

/** Waits until everything that sleeps, and the contents of all volumes, are in the store. */
export async function untilUploaded(server: ServerProcess): Promise<void> {
  const token = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  const { apiUrl } = connectionTo(server);
  for (const giveUpAt = performance.now() + giveUpMs; performance.now() < giveUpAt;) {
    await sleep(20);
    const response = await fetch(`${apiUrl}/host/storage`, { headers: { authorization: `Bearer ${token}` } });
    const { state, wanted, uploaded, volumes } = (await response.json()) as HostStorage;
    if (state === 'idle' && wanted > 0 && wanted === uploaded && volumes.behind.length === 0) return;
  }
  throw new Error('the upload did not end');
}

/** Waits until all memory that is fetched on demand has arrived. */
export async function untilWhole({ dataDirectory }: ServerProcess): Promise<void> {
  for (const giveUpAt = performance.now() + giveUpMs; performance.now() < giveUpAt;) {
    await sleep(5);
    if (!(await readdir(join(dataDirectory, 'states'))).some((name) => name.endsWith('.arriving'))) return;
  }
  throw new Error('the memory did not arrive');
}
