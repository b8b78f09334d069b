import { checkOwner, claimOwner, createParcels, sealedObjects } from '@soulbox/vault';
import type { ObjectAccess, OwnerWords, Parcels, SealedObjects } from '@soulbox/vault';
import { serverFilesName } from '@soulbox/vault/stored';
import type { EvictionLimits } from './evictor.ts';
import { readServerFiles } from './server-files.ts';

export interface StoreSettings {
  readonly serverId: string;
  readonly owner: OwnerWords;
  /** The key under which the runner encrypts, and that of the owner's object. */
  readonly keys: { readonly runner: Uint8Array; readonly owner: Uint8Array };
  /** Of copies on this host. */
  readonly eviction: Pick<EvictionLimits, 'localBytes'> & Partial<EvictionLimits>;
}

/** What this server has in the object store. Only this server writes there, so the sets are read once. */
export interface StoreState {
  readonly objects: SealedObjects;
  readonly parcels: Parcels;
  /** Names of parcels that are complete. */
  readonly complete: Set<string>;
  /** Names of the objects with records. */
  readonly records: Set<string>;
  /** Throws `storage_taken` if another server has taken over. Asks the store every few seconds only. */
  checkOwner(signal: AbortSignal): Promise<void>;
  /** Uploads the keys of this server if they have changed: no record is of use without them. */
  syncFiles(signal: AbortSignal): Promise<void>;
}

/** After this time the store is asked again who owns the objects. Milliseconds. */
const ownerEveryMs = 10_000;

/** Takes the server's place in the store over from its earlier starts. Throws `storage_taken`. */
export async function openStoreState(
  access: ObjectAccess,
  { serverId, owner, keys }: StoreSettings,
  dataDirectory: string,
  signal: AbortSignal,
): Promise<StoreState> {
  const objects = sealedObjects(access, serverId);
  const parcels = createParcels(objects, keys.runner);
  await claimOwner(objects, owner, { key: keys.owner, signal });
  const [complete, records] = [new Set<string>(), new Set<string>()];
  for await (const name of parcels.list(undefined, signal)) complete.add(name);
  for await (const { key } of objects.list('records/', signal)) records.add(key);
  let askedAt = performance.now();
  let written = (await objects.get(serverFilesName, { key: keys.runner, signal }))?.plain.toString();
  return {
    ...{ objects, parcels, complete, records },
    async checkOwner(now) {
      if (performance.now() - askedAt < ownerEveryMs) return;
      await checkOwner(objects, owner.nonce, { key: keys.owner, signal: now });
      askedAt = performance.now();
    },
    async syncFiles(now) {
      const text = JSON.stringify(await readServerFiles(dataDirectory));
      if (text === written) return;
      await objects.put(serverFilesName, Buffer.from(text), { key: keys.runner, signal: now });
      written = text;
    },
  };
}
