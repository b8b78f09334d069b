import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from '@soulbox/base';

/** Name of the file in the work folder with the status of a pager. The guard (guard.sh) also reads and writes it. */
const recordName = 'pager.json';

/** The status of a pager, or how it ended. */
export type PagerRecord =
  | {
      readonly state: 'loading';
      readonly guard: ProcessIdentity;
      readonly worker: ProcessIdentity;
      readonly sharer: ProcessIdentity;
    }
  /** All memory is loaded. The sandbox needs no pager any more. */
  | { readonly state: 'complete' }
  /** The pager has ended the sandbox, because a block did not match its digest or because a part of the pager died. */
  | { readonly state: 'damaged' | 'interrupted'; readonly detail: string };

/** Replaces the record; synchronous, because the worker does nothing else meanwhile. */
export function writePagerRecord(directory: string, record: PagerRecord): void {
  const path = join(directory, recordName);
  writeFileSync(`${path}.tmp`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Undefined if there has never been a pager. The file is our own, in a folder that only root can enter. */
export function findPagerRecord(directory: string): PagerRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, recordName), 'utf8')) as PagerRecord;
  } catch {
    return undefined;
  }
}

/** Prevents the record of an earlier restore from being taken for this one's. */
export function removePagerRecord(directory: string): void {
  rmSync(join(directory, recordName), { force: true });
}
