import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { ObjectStore } from '@soulbox/storage/objects';
import { isServerId, serversPrefix } from '@soulbox/vault';
import type { SealedObjects } from '@soulbox/vault';
import { serverFilesName, serverFilesSchema, storedRecordSchema } from '@soulbox/vault/stored';
import type { ServerFiles, StoredRecord } from '@soulbox/vault/stored';
import type { Lost } from './find-lost.ts';

interface ReadOptions {
  readonly key: Uint8Array;
  readonly signal: AbortSignal;
}

/** More servers than an operator would choose from. */
const serversMax = 100;

/** Throws `storage_not_found` for an empty store, and `bad_request` if there are several. */
export async function chooseServer(store: ObjectStore, signal: AbortSignal): Promise<string> {
  const { folders } = await store.list({ prefix: serversPrefix, combinesFolders: true, signal, limit: serversMax });
  const ids = folders.map((folder) => folder.slice(serversPrefix.length, -1)).filter(isServerId);
  const [id, ...others] = ids;
  if (id === undefined) throw new SoulBoxError('storage_not_found', 'No server has uploaded anything to this store.');
  if (others.length === 0) return id;
  throw new SoulBoxError('bad_request', `Several servers use this store: choose one with --server. ${ids.join(', ')}`);
}

/** Throws `storage_not_found` for a server that has not uploaded its keys: no record can be read without them. */
export async function readServerFiles(objects: SealedObjects, options: ReadOptions): Promise<ServerFiles> {
  const found = await objects.get(serverFilesName, options);
  if (found !== undefined) return serverFilesSchema.parse(JSON.parse(found.plain.toString()));
  throw new SoulBoxError('storage_not_found', 'The server was lost before it had uploaded its keys.');
}

/** The newest record of each sandbox and snapshot. One that cannot be read is lost. */
export async function readRecords(objects: SealedObjects, options: ReadOptions): Promise<(StoredRecord | Lost)[]> {
  const newest = new Map<string, StoredRecord | Lost>();
  for await (const { key: name } of objects.list('records/', options.signal)) {
    const [, what, id] = /^records\/(sandbox|snapshot)\/([a-z0-9]{1,64})\./.exec(name) ?? [];
    if (id === undefined || (what !== 'sandbox' && what !== 'snapshot')) continue;
    const record = await readRecord(objects, name, { what, id }, options);
    const before = newest.get(`${what} ${id}`);
    const isOlder =
      'reason' in record || (before !== undefined && !('reason' in before) && before.savedAtMs > record.savedAtMs);
    if (before === undefined || !isOlder) newest.set(`${what} ${id}`, record);
  }
  return [...newest.values()];
}

async function readRecord(
  objects: SealedObjects,
  name: string,
  { what, id }: Pick<Lost, 'what' | 'id'>,
  options: ReadOptions,
): Promise<StoredRecord | Lost> {
  try {
    const found = await objects.get(name, options);
    if (found === undefined) return { what, id, reason: 'Its record is not in the store any more.' };
    const { success, data } = storedRecordSchema.safeParse(JSON.parse(found.plain.toString()));
    if (!success) return { what, id, reason: 'Its record is of a newer version of SoulBox.' };
    return data.what === what && data.id === id ? data : { what, id, reason: 'Its record is that of another one.' };
  } catch (thrown) {
    const { reason, message } = errorFromUnknown(thrown);
    if (reason === 'storage_damaged') return { what, id, reason: message };
    throw thrown;
  }
}
