import { SoulBoxError } from '@soulbox/base';
import { openInPlace, sealInPlace } from '@soulbox/keyring/blocks';
import type { ListedObject, ObjectAccess, ReadOptions, WriteCondition } from './object-access.ts';

/** Of the form. Another one is refused. */
const mark = Buffer.from('sbo1', 'latin1');
/** Nonce and tag. */
const sealBytes = 28;
const headBytes = mark.length + sealBytes;
/** A list that is longer is no list of ours. */
const listMax = 5_000_000;

export interface OpenedObject {
  readonly plain: Buffer;
  readonly version: string;
}

/**
 * Encrypted objects of one server. The key of an object is part of what authenticates it, so the store cannot put one
 * in the place of another. It can bring back an older version of an object that is replaced.
 */
export interface SealedObjects {
  readonly serverId: string;
  put(name: string, plain: Uint8Array, options: SealOptions & { readonly condition?: WriteCondition }): Promise<void>;
  /** Undefined: there is none. Throws `storage_damaged` unless it is what this key has encrypted for this name. */
  get(name: string, options: SealOptions & Pick<ReadOptions, 'into'>): Promise<OpenedObject | undefined>;
  delete(name: string, signal: AbortSignal): Promise<void>;
  /** All objects whose names begin with `prefix`, without the folder of the server. */
  list(prefix: string, signal: AbortSignal): AsyncGenerator<ListedObject>;
}

export interface SealOptions {
  readonly key: Uint8Array;
  readonly signal: AbortSignal;
}

/** The folder of the servers in a store. */
export const serversPrefix = 'servers/';

const serverIdForm = /^[a-z0-9]{20}$/;

export function isServerId(text: string): boolean {
  return serverIdForm.test(text);
}

export function sealedObjects(access: ObjectAccess, serverId: string): SealedObjects {
  if (!isServerId(serverId))
    throw new SoulBoxError('bad_request', 'The id of a server has 20 characters of a-z and 0-9.');
  const own = `${serversPrefix}${serverId}/`;
  return {
    serverId,
    async put(name, plain, { key, signal, condition }) {
      await access.put(own + name, seal(key, own + name, plain), signal, condition);
    },
    async get(name, { key, signal, into }) {
      const found = await access.get(own + name, signal, { into });
      if (found === undefined) return undefined;
      const plain = findPlain(key, own + name, found.bytes);
      if (plain !== undefined) return { plain, version: found.version };
      // It may have come from a cache that is wrong. The second time it is from the store itself.
      const again = await access.get(own + name, signal, { fresh: true, into });
      return again && { plain: unseal(key, own + name, again.bytes), version: again.version };
    },
    async delete(name, signal) {
      await access.delete(own + name, signal);
    },
    async *list(prefix, signal) {
      let cursor: string | undefined;
      let count = 0;
      do {
        const page = await access.list(own + prefix, cursor, signal);
        for (const { key, modifiedAtMs } of page.objects) {
          count += 1;
          if (count > listMax || !key.startsWith(own + prefix)) throw lies();
          yield { key: key.slice(own.length), modifiedAtMs };
        }
        if (page.cursor !== undefined && page.cursor === cursor) throw lies();
        cursor = page.cursor;
      } while (cursor !== undefined);
    },
  };
}

function lies(): SoulBoxError {
  return new SoulBoxError('storage_damaged', 'The object store returned a list that cannot be right.');
}

const placeOf = (name: string): Buffer => Buffer.from(`soulbox stored object 1\0${name}`, 'utf8');

function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + plain.length);
  mark.copy(bytes);
  const content = bytes.subarray(headBytes);
  content.set(plain);
  Buffer.from(sealInPlace(key, placeOf(name), content), 'hex').copy(bytes, mark.length);
  return bytes;
}

/** Undefined: it is not what was encrypted under this key and name. */
function findPlain(key: Uint8Array, name: string, bytes: Buffer): Buffer | undefined {
  try {
    return unseal(key, name, bytes);
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'storage_damaged') return undefined;
    throw error;
  }
}

function unseal(key: Uint8Array, name: string, bytes: Buffer): Buffer {
  const damaged = (why: string): SoulBoxError =>
    new SoulBoxError('storage_damaged', `The object ${name} in the store ${why}.`);
  if (bytes.length < headBytes || !bytes.subarray(0, mark.length).equals(mark))
    throw damaged('was not written by this version of SoulBox, or was cut');
  const content = bytes.subarray(headBytes);
  if (openInPlace(key, placeOf(name), content, bytes.subarray(mark.length, headBytes).toString('hex'))) return content;
  throw damaged('was changed, or was encrypted with another storage key');
}
