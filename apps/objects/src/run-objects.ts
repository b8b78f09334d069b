import { flushCompileCache } from 'node:module';
import { measureOwn } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { bindMount } from '@soulbox/linux/mounts';
import { dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart } from '@soulbox/process';
import { loadDiskObjects } from '@soulbox/storage/objects';
import { loadObjectCache, openObjectCache } from './object-cache.ts';
import type { ObjectCacheSettings } from './object-cache.ts';
import { openStore } from './open-store.ts';
import { serveObjects } from './serve-objects.ts';

/** The settings of the process that speaks to the object store. */
export interface ObjectProcessSettings {
  readonly cell: Cell;
  /** Without credentials. */
  readonly url: string;
  /** Empty: the SDK of the store finds credentials. */
  readonly credentialsFile: string;
  readonly cache: ObjectCacheSettings;
  /** The folder of a store on local disk, and where the process sees it. Absent: it is not on local disk. */
  readonly dataMount?: { readonly from: string; readonly to: string };
  /** An open descriptor that the process was started with: the bound socket. */
  readonly descriptor: number;
}

export const objectProgram: PartProgram = {
  part: 'objects',
  start: async (settings, logger) => await run(settings as unknown as ObjectProcessSettings, logger),
};

async function run(settings: ObjectProcessSettings, logger: RootLogger): Promise<RunningPart> {
  const { cell, url, credentialsFile, cache: cacheSettings, dataMount, descriptor } = settings;
  const own = logger.child({ part: 'objects' });
  if (dataMount !== undefined) bindMount(dataMount.from, dataMount.to);
  // Loads the SDK of the store, which cannot be read after the privileges are gone, if the folders above the installation
  // are closed to other users. The compile cache cannot be written after the privileges are gone.
  const open = async () => await openStore(url, credentialsFile);
  if (dataMount === undefined) {
    await using first = await open();
    await loadObjectCache(cacheSettings, first);
  } else {
    await loadDiskObjects();
    await loadObjectCache(cacheSettings, undefined);
  }
  flushCompileCache();
  dropPrivileges(cell);
  await using started = new AsyncDisposableStack();
  const store = started.use(await open());
  const cache = await openObjectCache(cacheSettings, store, own);
  if (cache !== undefined) started.use(cache);
  started.use(await serveObjects({ store, cache, place: { fd: descriptor }, logger: own }));
  own.info({ url }, 'the object store is in use');
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return { figures, facts: {}, stop: async () => await owned.disposeAsync() };
}
