import { silentLogger } from '@soulbox/base/logger';
import { loadObjectCache, openObjectCache, openStore, serveObjects } from '@soulbox/object-process';
import type { ObjectCacheSettings } from '@soulbox/object-process';

/** The process of the object store as one of a host, without its walls. Prints a line when it serves. */
const [url = '', credentialsFile = '', path = '', settings = ''] = process.argv.slice(2);
const store = await openStore(url, credentialsFile);
await loadObjectCache(JSON.parse(settings) as ObjectCacheSettings, store);
const cache = await openObjectCache(JSON.parse(settings) as ObjectCacheSettings, store, silentLogger);
await serveObjects({ store, cache, place: { path }, logger: silentLogger });
console.log('ready');
