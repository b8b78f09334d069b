export { loadDiskObjects, openObjectStore } from './open-object-store.ts';
export type { OpenStoreOptions } from './open-object-store.ts';
export { checkObjectStore } from './check/check-object-store.ts';
export type { CheckedPromise } from './check/check-object-store.ts';
export { parseStorageUrl, storageUrlForms } from './storage-url.ts';
export { credentialsOfFile } from './credentials-file.ts';
export { checkObjectKey } from './object-key.ts';
export { objectLimits } from './object-store.ts';
export type {
  GetOptions,
  ListQuery,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  OpenObject,
  PutOptions,
  SignOptions,
  SignedPut,
  WriteCondition,
  WrittenObject,
} from './object-store.ts';
export type { StoreLimits } from './store-options.ts';
