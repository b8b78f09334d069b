import type { FetchFigures } from '../stored/stored-copies.ts';
import type { EvictionFigures } from './evictor.ts';

/** What is in the object store of what a host keeps of sleeping sandboxes. */
export interface UploadFigures extends EvictionFigures, FetchFigures {
  /**
   * `working` while something is being uploaded, `idle` if nothing is left, `waiting` between two tries, `away` while the
   * store cannot be used, `refused` if another server has taken over.
   */
  readonly state: 'starting' | 'working' | 'idle' | 'waiting' | 'away' | 'refused';
  /** Why it is `away` or `refused`. */
  readonly reason: string;
  /** Paused sandboxes and snapshots. */
  readonly wanted: number;
  readonly uploaded: number;
  /** Bytes on the host's disk that are not in the store yet. */
  readonly pendingBytes: number;
  /** Since the start of the runner. */
  readonly uploads: number;
  readonly uploadedBytes: number;
  readonly failures: number;
  /** Those that are not in the store, at most `notUploadedMax`. */
  readonly notUploaded: readonly NotUploaded[];
}

interface NotUploaded {
  readonly what: 'sandbox' | 'snapshot';
  readonly id: string;
  readonly state: 'pending' | 'failed';
  /** Of the last failure. Empty: there was none. */
  readonly reason: string;
}

export const notUploadedMax = 100;
