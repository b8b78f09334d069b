import { SoulBoxError } from '@soulbox/base';
import type { ObjectAccess } from '../object-access.ts';

export interface MemoryAccess extends ObjectAccess {
  readonly objects: Map<string, Buffer>;
  /** Called before each call; it may throw. */
  fault: (method: 'put' | 'get' | 'delete' | 'list', key: string) => void;
}

/** A store in memory that tests can change behind the back of its user. */
export function memoryAccess(): MemoryAccess {
  const objects = new Map<string, Buffer>();
  const versions = new Map<string, number>();
  let count = 0;
  const access: MemoryAccess = {
    objects,
    fault: () => undefined,
    async put(key, bytes, signal, condition) {
      signal.throwIfAborted();
      access.fault('put', key);
      const present = objects.has(key) ? String(versions.get(key)) : undefined;
      const holds = condition === undefined || (condition === 'absent' ? undefined : condition.version) === present;
      if (!holds) throw new SoulBoxError('storage_precondition_failed', 'The object has another version.');
      objects.set(key, Buffer.from(bytes));
      versions.set(key, ++count);
      await Promise.resolve();
    },
    async get(key, signal) {
      signal.throwIfAborted();
      access.fault('get', key);
      const bytes = objects.get(key);
      return await Promise.resolve(bytes && { bytes: Buffer.from(bytes), version: String(versions.get(key)) });
    },
    async delete(key) {
      access.fault('delete', key);
      objects.delete(key);
      await Promise.resolve();
    },
    async list(prefix) {
      access.fault('list', prefix);
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
      return await Promise.resolve({ objects: keys.map((key) => ({ key, modifiedAtMs: 0 })) });
    },
  };
  return access;
}
