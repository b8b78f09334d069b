import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { tryLock } from '@soulbox/linux/flock';
import type { DataKeyRecord, KeyringRecords } from '@soulbox/storage';

/** A change takes some milliseconds. */
const lockTimeoutMs = 10_000;
const retryMs = 5;

const masterKeySchema = z.object({
  id: z.string(),
  state: z.enum(['current', 'retiring', 'retired']),
  createdAt: z.number(),
});
const dataKeySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  masterKeyId: z.string(),
  wrapped: z.string(),
  claimed: z.number(),
  createdAt: z.number(),
});
const keysShape = {
  masterKeys: z.array(masterKeySchema),
  /** Oldest first. */
  dataKeys: z.array(dataKeySchema),
};
const diskKeySchema = z.object({ keyId: z.string().regex(/^[0-9a-f]{32}$/), sealed: z.string() });
/**
 * Format 2 has the key of encrypted folders. A version that does not know it must not start on them: without the key
 * they seem to contain unknown files, which that version would remove.
 */
const contentSchema = z.discriminatedUnion('format', [
  z.object({ format: z.literal(1), ...keysShape }),
  z.object({ format: z.literal(2), ...keysShape, diskKey: diskKeySchema }),
]);
const newestFormat = 2;

type Content = z.infer<typeof contentSchema>;

/** The key of the encrypted folders of a data folder. */
export interface DiskKeyRecord {
  /** The kernel's identifier of the key, in hex. */
  readonly keyId: string;
  /** The key, encrypted by the keyring. */
  readonly sealed: string;
}

export interface FileKeyringRecords extends KeyringRecords {
  /** All data keys, oldest first. Undefined: there is no file. */
  listDataKeys(): Promise<readonly DataKeyRecord[] | undefined>;
  findDiskKey(): Promise<DiskKeyRecord | undefined>;
  /** There is one for the life of the data folder. */
  addDiskKey(record: DiskKeyRecord): Promise<void>;
  /** For a copy of the file in a data folder that has no encrypted folder. */
  removeDiskKey(): Promise<void>;
}

/**
 * Wrapped data keys in a file, for a part of the server that has no database. Changes are atomic and durable. Several
 * processes may use the file: a lock beside it guards each change. Throws `config_invalid` for a file of a newer
 * version, `state_damaged` for one that is no such file: a new one would make all that was encrypted unreadable.
 */
export function fileKeyringRecords(path: string): FileKeyringRecords {
  const tryRead = async (): Promise<Content | undefined> => {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (isNodeError(error) && error.code === 'ENOENT') return undefined;
      throw error;
    });
    return text === undefined ? undefined : parseContent(text, path);
  };
  const read = async (): Promise<Content> => (await tryRead()) ?? { format: 1, masterKeys: [], dataKeys: [] };
  /** `change` returns the new content and a result, or only a result if nothing changes. */
  const change = async <T>(act: (content: Content) => { readonly next?: Content; readonly result: T }): Promise<T> => {
    await using _lock = await lock(`${path}.lock`);
    const { next, result } = act(await read());
    if (next !== undefined) {
      await writeFileAtomic(path, `${JSON.stringify(next)}\n`, { durable: true });
      await flushFolder(dirname(path));
    }
    return result;
  };

  return {
    listDataKeys: async () => (await tryRead())?.dataKeys,
    async findDiskKey() {
      const content = await read();
      return content.format === 2 ? content.diskKey : undefined;
    },
    addDiskKey: async (diskKey) =>
      await change((content) => {
        if (content.format === 2) throw new SoulBoxError('internal', `${path} has a key of folders already.`);
        return { next: { ...content, format: 2, diskKey }, result: undefined };
      }),
    removeDiskKey: async () =>
      await change((content) => {
        if (content.format === 1) return { result: undefined };
        const { diskKey: _, ...others } = content;
        return { next: { ...others, format: 1 }, result: undefined };
      }),
    listMasterKeys: async () => (await read()).masterKeys,
    switchMasterKey: async (id, before, now) =>
      await change((content) => {
        const current = currentOf(content);
        if (current !== before || content.masterKeys.some((key) => key.id === id)) return { result: false };
        const demoted = content.masterKeys.map((key) =>
          key.id === before ? { ...key, state: 'retiring' as const } : key,
        );
        const masterKeys = [...demoted, { id, state: 'current' as const, createdAt: now }];
        return { next: { ...content, masterKeys }, result: true };
      }),
    retireMasterKeys: async () =>
      await change((content) => {
        if (notCurrent(content).length > 0) return { result: false };
        const masterKeys = content.masterKeys.map((key) =>
          key.state === 'retiring' ? { ...key, state: 'retired' as const } : key,
        );
        return { next: { ...content, masterKeys }, result: true };
      }),
    addDataKey: async (record) =>
      await change((content) => {
        if (currentOf(content) !== record.masterKeyId) return { result: false };
        return { next: { ...content, dataKeys: [...content.dataKeys, record] }, result: true };
      }),
    findDataKey: async (id) => (await read()).dataKeys.find((key) => key.id === id),
    findDataKeyOf: async (masterKeyId) => (await read()).dataKeys.find((key) => key.masterKeyId === masterKeyId),
    claimDataKey: async (count, max) =>
      await change((content) => {
        const newest = content.dataKeys.at(-1);
        if (newest === undefined || newest.claimed + count > max) return { result: undefined };
        const claimed = { ...newest, claimed: newest.claimed + count };
        return { next: { ...content, dataKeys: [...content.dataKeys.slice(0, -1), claimed] }, result: newest.id };
      }),
    countNotCurrent: async () => notCurrent(await read()).length,
    listNotCurrent: async (limit) => notCurrent(await read()).slice(0, limit),
    rewrap: async (masterKeyId, changes) =>
      await change((content) => {
        if (currentOf(content) !== masterKeyId) return { result: 0 };
        let count = 0;
        const dataKeys = content.dataKeys.map((key) => {
          const found = changes.find(({ id, before }) => id === key.id && before === key.wrapped);
          if (found === undefined) return key;
          count += 1;
          return { ...key, wrapped: found.wrapped, masterKeyId };
        });
        return { next: { ...content, dataKeys }, result: count };
      }),
    // The file is written again as a whole with each change.
    eraseReplaced: () => Promise.resolve(true),
  };
}

function parseContent(text: string, path: string): Content {
  const value = parseJson(text) as { format?: unknown } | null | undefined;
  const format = value?.format;
  if (typeof format === 'number' && format > newestFormat)
    throw new SoulBoxError(
      'config_invalid',
      `${path} was written by a newer SoulBox (format ${format}). Start that one.`,
    );
  const parsed = contentSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SoulBoxError(
    'state_damaged',
    `${path} is damaged. It has the keys of saved memory and of the runner's records: put it back, for example from a backup (docs/secrets.md).`,
    { cause: parsed.error },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const currentOf = ({ masterKeys }: Content): string | undefined =>
  masterKeys.find(({ state }) => state === 'current')?.id;

function notCurrent(content: Content): Content['dataKeys'] {
  const current = currentOf(content);
  return content.dataKeys.filter(({ masterKeyId }) => masterKeyId !== current);
}

async function lock(path: string): Promise<AsyncDisposable> {
  const handle = await open(path, 'a', 0o600);
  const deadline = Date.now() + lockTimeoutMs;
  while (!tryLock(handle.fd)) {
    if (Date.now() > deadline) {
      await handle.close();
      throw new SoulBoxError('internal', `Another process holds ${path} for more than ${lockTimeoutMs / 1000} s.`);
    }
    await sleep(retryMs);
  }
  return { [Symbol.asyncDispose]: async () => await handle.close() };
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
