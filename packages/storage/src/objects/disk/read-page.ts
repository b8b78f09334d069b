import type { DriverInfo } from '../store-driver.ts';
import { lastCharacter } from './key-order.ts';
import type { Found } from './walk.ts';

export interface Page {
  readonly objects: readonly DriverInfo[];
  readonly folders: readonly string[];
  readonly cursor?: string;
}

export interface PageOptions {
  readonly limit: number;
  /** Undefined for an object that was removed meanwhile. */
  readonly statOf: (key: string) => Promise<DriverInfo | undefined>;
}

/** So many objects are looked at together: more than the threads that do it. */
const together = 32;

/** The first `limit` objects and folders of a walk that still exist, and where the next page begins. */
export async function readPage(walk: AsyncGenerator<Found>, { limit, statOf }: PageOptions): Promise<Page> {
  const objects: DriverInfo[] = [];
  const folders: string[] = [];
  const count = (): number => objects.length + folders.length;
  let last: Found | undefined;
  for (;;) {
    const found = await takeSome(walk, Math.min(together, Math.max(1, limit - count())));
    if (found.length === 0) return { objects, folders };
    if (count() === limit) return { objects, folders, ...(last === undefined ? {} : { cursor: cursorAfter(last) }) };
    last = found.at(-1);
    const infos = await Promise.all(found.map(async ({ key, isFolder }) => (isFolder ? key : await statOf(key))));
    for (const info of infos) {
      if (typeof info === 'string') folders.push(info);
      else if (info !== undefined) objects.push(info);
    }
  }
}

async function takeSome(walk: AsyncGenerator<Found>, count: number): Promise<Found[]> {
  const found: Found[] = [];
  while (found.length < count) {
    const next = await walk.next();
    if (next.done === true) break;
    found.push(next.value);
  }
  return found;
}

/** The next page begins after all that is in a folder which was shown as one. */
function cursorAfter({ key, isFolder }: Found): string {
  return Buffer.from(isFolder ? key + lastCharacter : key).toString('base64url');
}
