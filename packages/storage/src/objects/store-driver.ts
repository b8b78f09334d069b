import type { ObjectInfo, ObjectPage, SignedPut, WriteCondition } from './object-store.ts';

/**
 * What differs between stores. Each call is one attempt: it is not repeated inside, ends when its signal aborts, and
 * throws a StoreFault. Keys contain the prefix. `createObjectStore` adds all the rest.
 */
export interface StoreDriver extends AsyncDisposable {
  readonly parts: PartLimits;
  /** Throws a fault for a key that this store in particular does not accept. */
  checkKey?(key: string): void;
  putWhole(key: string, bytes: Uint8Array, write: Write, signal: AbortSignal): Promise<Written>;
  /** Returns what identifies the upload for the next three. */
  startUpload(key: string, write: Write, signal: AbortSignal): Promise<string>;
  /** Parts have numbers from 1 on. Returns what identifies the part for `finishUpload`. */
  putPart(upload: Upload, part: Part, signal: AbortSignal): Promise<string>;
  finishUpload(upload: Upload, finish: Finish, signal: AbortSignal): Promise<Written>;
  dropUpload(upload: Upload, signal: AbortSignal): Promise<void>;
  open(key: string, request: OpenRequest, signal: AbortSignal): Promise<OpenedObject>;
  /** Undefined if there is none. */
  stat(key: string, signal: AbortSignal): Promise<DriverInfo | undefined>;
  delete(key: string, signal: AbortSignal): Promise<void>;
  list(query: DriverListQuery, signal: AbortSignal): Promise<ObjectPage>;
  copy(from: string, to: string, signal: AbortSignal): Promise<Written & { readonly sizeBytes: number }>;
  signGet(key: string, expiresSeconds: number): Promise<string>;
  signPut(key: string, expiresSeconds: number): Promise<SignedPut>;
}

export interface PartLimits {
  readonly maxCount: number;
  readonly maxBytes: number;
  /** How many may be sent at once. 1: they must be sent in order. */
  readonly concurrency: number;
}

export interface Write {
  readonly condition: WriteCondition | undefined;
  /** Stored with the object, to tell whether a write whose response was lost has succeeded. */
  readonly writeId: string;
}

export interface Written {
  readonly version: string;
}

export interface Upload {
  readonly key: string;
  readonly id: string;
}

export interface Part {
  readonly number: number;
  /** Of its first byte in the object. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface Finish extends Write {
  readonly tags: readonly string[];
  readonly sizeBytes: number;
}

export interface OpenRequest {
  /** Undefined: the whole object. A store that finds nothing in the range throws a fault `range`. */
  readonly range: { readonly offset: number; readonly length: number } | undefined;
  readonly version: string | undefined;
}

export interface OpenedObject {
  /** Of the whole object. */
  readonly info: ObjectInfo;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the transfer. */
  close(): void;
}

export interface DriverInfo extends ObjectInfo {
  readonly writeId: string | undefined;
}

export interface DriverListQuery {
  readonly prefix: string;
  readonly cursor: string | undefined;
  readonly limit: number;
  readonly combinesFolders: boolean;
}

/** Drivers store `writeId` under this name in the metadata of an object. */
export const writeIdName = 'soulboxwrite';
