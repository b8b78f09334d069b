import type { MountState } from '../state/mount-state.ts';
import type { ObjectReader } from './object-reader.ts';
import type { Scratch } from './scratch.ts';

export interface OpenHandle {
  readonly fh: number;
  readonly file: OpenFile;
  readonly canWrite: boolean;
  /** Made by the first read. */
  reader: ObjectReader | undefined;
}

/** A file while programs have it open. All of them see the same content. */
export interface OpenFile {
  readonly nodeId: number;
  /** Where it is written. `undefined`: it was removed, so it is not written. */
  key: string | undefined;
  /** Of the object that it was read from or written to. `undefined`: there is none yet. */
  version: string | undefined;
  /** Of the object. The size of a file that is being changed is that of its scratch file. */
  size: number;
  modifiedMs: number;
  /** The content, if it is being changed. */
  scratch: Scratch | undefined;
  /** The store does not have what the scratch file has. */
  isDirty: boolean;
  /** Somebody else has changed the object: it is never written. */
  hasConflict: boolean;
  /** A program got the error of a write to the store, and nothing was written since. */
  hasToldError: boolean;
  readonly handles: Set<OpenHandle>;
}

export const sizeOf = (file: OpenFile): number => file.scratch?.size() ?? file.size;

/**
 * A program of this mount has changed the file, or opened it, since it had `version`. What the store was asked meanwhile
 * may be older than that.
 */
export const isChangedSince = (file: OpenFile, version: string | undefined): boolean =>
  file.isDirty || file.version !== version;

export function saveFile(state: MountState, file: OpenFile): void {
  const { nodeId, key, version, size, modifiedMs, scratch, isDirty } = file;
  state.saveFile({ nodeId, key, version, size, modifiedMs, scratch: scratch?.name, isDirty });
}

/** What was read of the object is of no use any more. */
export function dropReaders(file: OpenFile): void {
  for (const handle of file.handles) {
    handle.reader?.[Symbol.dispose]();
    handle.reader = undefined;
  }
}
