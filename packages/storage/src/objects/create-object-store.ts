import { SoulBoxError } from '@soulbox/base';
import { call } from './attempts.ts';
import type { Attempt } from './attempts.ts';
import { checkListPrefix, checkObjectKey } from './object-key.ts';
import { objectLimits } from './object-store.ts';
import type { ListQuery, ObjectInfo, ObjectStore } from './object-store.ts';
import { putObject } from './put-object.ts';
import { readObject } from './read-object.ts';
import type { StoreDriver } from './store-driver.ts';
import { errorFromFault } from './store-fault.ts';
import { defaultStoreLimits } from './store-options.ts';
import type { StoreLimits } from './store-options.ts';

export interface StoreSetup {
  readonly url: string;
  /** Of all keys; empty, or it ends with `/`. */
  readonly prefix: string;
  readonly limits?: Partial<StoreLimits> | undefined;
}

/** Adds to a driver what all stores have in common: keys below a prefix, limits, repetitions, uploads in parts. */
export function createObjectStore(driver: StoreDriver, { url, prefix, limits: given }: StoreSetup): ObjectStore {
  const limits: StoreLimits = { ...defaultStoreLimits, ...given };
  const fullKey = (key: string): string => {
    checkObjectKey(key, prefix);
    try {
      driver.checkKey?.(prefix + key);
    } catch (thrown) {
      throw errorFromFault(thrown);
    }
    return prefix + key;
  };
  const once = <T>(signal: AbortSignal | undefined, work: Attempt<T>): Promise<T> => call(limits, { signal }, work);
  const withoutPrefix = ({ key, sizeBytes, version, modifiedAt }: ObjectInfo): ObjectInfo => ({
    ...{ key: key.slice(prefix.length), sizeBytes, version, modifiedAt },
  });

  return {
    url,
    async put(key, content, options = {}) {
      const full = fullKey(key);
      const written = await translated(putObject(driver, limits, { key: full, content, options }), options.signal);
      return { key, ...written };
    },
    async get(key, options = {}) {
      checkRange(options);
      const full = fullKey(key);
      const { info, body } = await translated(readObject({ driver, limits, key: full, options }), options.signal);
      return { info: withoutPrefix(info), body };
    },
    async stat(key, { signal } = {}) {
      const full = fullKey(key);
      const found = await once(signal, (limited) => driver.stat(full, limited));
      return found === undefined ? undefined : withoutPrefix(found);
    },
    async delete(key, { signal } = {}) {
      const full = fullKey(key);
      await once(signal, (limited) => driver.delete(full, limited));
    },
    async list(query = {}) {
      const asked = parseListQuery(query, prefix);
      const page = await once(query.signal, (limited) => driver.list(asked, limited));
      // What was not asked for would get a wrong name when the prefix is cut off.
      return {
        objects: page.objects.filter(({ key }) => isAnswer(key, asked)).map(withoutPrefix),
        folders: page.folders.filter((key) => isAnswerFolder(key, asked)).map((key) => key.slice(prefix.length)),
        ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
      };
    },
    async copy(from, to, { signal } = {}) {
      const [source, target] = [fullKey(from), fullKey(to)];
      // The store copies; that takes longer than other calls.
      const patient = { ...limits, attemptMs: 20 * limits.attemptMs };
      const copied = await call(patient, { signal }, (limited) => driver.copy(source, target, limited));
      return { key: to, sizeBytes: copied.sizeBytes, version: copied.version };
    },
    async signGet(key, { expiresSeconds, signal }) {
      checkWhole('expiresSeconds', expiresSeconds, 1, objectLimits.signedSeconds);
      const full = fullKey(key);
      return await once(signal, () => driver.signGet(full, expiresSeconds));
    },
    async signPut(key, { expiresSeconds, signal }) {
      checkWhole('expiresSeconds', expiresSeconds, 1, objectLimits.signedSeconds);
      const full = fullKey(key);
      return await once(signal, () => driver.signPut(full, expiresSeconds));
    },
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}

async function translated<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    signal?.throwIfAborted();
    throw errorFromFault(thrown);
  }
}

/** The longest of any store, with room: cursors come back from callers. */
const cursorMaxLength = 8192;

function parseListQuery(
  { prefix = '', cursor, limit = objectLimits.pageSize, combinesFolders }: ListQuery,
  own: string,
) {
  checkListPrefix(prefix, own);
  checkWhole('limit', limit, 1, objectLimits.pageSize);
  if (cursor !== undefined && (cursor === '' || cursor.length > cursorMaxLength))
    throw new SoulBoxError('bad_request', 'The cursor is not one that this store has given.');
  return { prefix: own + prefix, cursor, limit, combinesFolders: combinesFolders === true };
}

type Asked = ReturnType<typeof parseListQuery>;

function isAnswer(key: string, { prefix, combinesFolders }: Asked): boolean {
  return key.startsWith(prefix) && !(combinesFolders && key.includes('/', prefix.length));
}

function isAnswerFolder(key: string, { prefix }: Asked): boolean {
  return key.startsWith(prefix) && key.length > prefix.length && key.indexOf('/', prefix.length) === key.length - 1;
}

function checkRange({ range, sha256 }: Parameters<ObjectStore['get']>[1] & object): void {
  if (range === undefined) return;
  checkWhole('offset', range.offset, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('length', range.length, 0, Number.MAX_SAFE_INTEGER);
  if (sha256 !== undefined) throw new SoulBoxError('bad_request', 'The digest is of the whole object, not of a range.');
}

function checkWhole(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new SoulBoxError('bad_request', `${name} must be a whole number from ${min} to ${max}, not ${value}.`);
}
