import { checkBlobKey } from '../key.ts';

/** No key contains it. */
const slashInName = '~';

/** The name of a blob's file in its folder; each key has exactly one. Throws for an invalid key. */
export function nameFromKey(key: string): string {
  checkBlobKey(key);
  return key.replaceAll('/', slashInName);
}

export function keyFromName(name: string): string {
  return name.replaceAll(slashInName, '/');
}
