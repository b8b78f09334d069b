export { loadObjectCache, openObjectCache } from './object-cache.ts';
export type { ObjectCacheSettings } from './object-cache.ts';
export type { ObjectProcessSettings } from './run-objects.ts';
export { openStore } from './open-store.ts';
export { serveObjects } from './serve-objects.ts';
