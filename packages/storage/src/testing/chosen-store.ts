import { randomId } from '@soulbox/base';
import type { ObjectStore } from '../objects/object-store.ts';
import { openObjectStore } from '../objects/open-object-store.ts';

/** A store of the developer, with a folder in it that only this process uses. */
export interface ChosenStore {
  readonly url: string;
  /** Ids of promises that it lacks, as `soulbox storage check` names them. */
  readonly lacks: readonly string[];
  /** Opens a part of the folder. `prefix` is empty or ends with `/`. */
  open(prefix: string): Promise<ObjectStore>;
  /** Deletes what is left in the folder. */
  clear(): Promise<void>;
}

/**
 * The store that `SOULBOX_TEST_STORAGE` names, in the form of `SOULBOX_STORAGE`, with the credentials of the file
 * `SOULBOX_TEST_STORAGE_CREDENTIALS_FILE`, or those that its SDK finds. `SOULBOX_TEST_STORAGE_LACKS` has the promises that
 * it does not keep, separated by commas. Undefined without a URL.
 */
export function findChosenStore(environment: NodeJS.ProcessEnv): ChosenStore | undefined {
  const {
    SOULBOX_TEST_STORAGE: url = '',
    SOULBOX_TEST_STORAGE_CREDENTIALS_FILE: credentialsFile,
    SOULBOX_TEST_STORAGE_LACKS: lacks = '',
  } = environment;
  if (url === '') return undefined;
  const [place = '', query] = url.split('?', 2);
  const folder = `${place.replace(/\/$/, '')}/soulbox-test-${randomId(8)}`;
  const open = async (prefix: string): Promise<ObjectStore> =>
    await openObjectStore(`${folder}/${prefix}${query === undefined ? '' : `?${query}`}`, { credentialsFile });
  return {
    url,
    lacks: lacks.split(',').filter((id) => id !== ''),
    open,
    async clear() {
      await using store = await open('');
      for (;;) {
        const { objects } = await store.list({ limit: 1000 });
        for (const { key } of objects) await store.delete(key);
        if (objects.length === 0) return;
      }
    },
  };
}
