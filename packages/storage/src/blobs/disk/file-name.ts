import { checkBlobKey } from '../key.ts';

/** No key holds it. */
const slashInName = '~';

/** The name of a blob's file in its folder: one file for each, whatever its key. Throws for what is no key. */
export function nameFromKey(key: string): string {
  checkBlobKey(key);
  return key.replaceAll('/', slashInName);
}

export function keyFromName(name: string): string {
  return name.replaceAll(slashInName, '/');
}
