/** The largest object: a chunk of 8 MiB and what authenticates it. */
export const objectMaxBytes = 8 * 1024 * 1024 + 1024;

/** As of an object store: `absent` only creates, a version only replaces that version. */
export type WriteCondition = 'absent' | { readonly version: string };

export interface FoundObject {
  readonly bytes: Buffer;
  readonly version: string;
}

export interface ListedObject {
  readonly key: string;
  readonly modifiedAtMs: number;
}

export interface ReadOptions {
  /** What was read before is wrong: it is removed from all caches, and read from the store itself. */
  readonly fresh?: boolean;
  /** For the bytes, if they fit, so that nothing has to be allocated. Whoever gives it does not use it meanwhile. */
  readonly into?: Buffer | undefined;
}

/**
 * Small objects of a store, each read and written as a whole. What it returns comes from outside: the caller believes
 * nothing of it that is not authenticated. Throws the errors of the store (`storage_*`), and the reason of the signal.
 */
export interface ObjectAccess {
  /** Throws `storage_precondition_failed`. */
  put(key: string, bytes: Uint8Array, signal: AbortSignal, condition?: WriteCondition): Promise<void>;
  /** Undefined: there is none. Throws `storage_damaged` for an object of more than `objectMaxBytes`. */
  get(key: string, signal: AbortSignal, options?: ReadOptions): Promise<FoundObject | undefined>;
  /** Does nothing if there is no such object. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** One page. `cursor` is from the page before. */
  list(prefix: string, cursor: string | undefined, signal: AbortSignal): Promise<ObjectPage>;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  readonly cursor?: string | undefined;
}
