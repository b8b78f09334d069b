import { join } from 'node:path';
import { z } from 'zod';

/** What is in the object store of what a host keeps of sleeping sandboxes, when the runner has last looked. */
export const storageReportSchema = z.object({
  atMs: z.number(),
  /**
   * `working` while something is being uploaded, `idle` if nothing is left, `waiting` between two tries, `away` while the
   * store cannot be used, `refused` if another server has taken over.
   */
  state: z.enum(['starting', 'working', 'idle', 'waiting', 'away', 'refused']),
  /** Why it is `away` or `refused`. */
  reason: z.string(),
  /** Paused sandboxes and snapshots. */
  wanted: z.number(),
  uploaded: z.number(),
  pending: z.number(),
  /** Bytes on the host's disk that are not in the store yet. */
  pendingBytes: z.number(),
  /** Since the start of the runner. */
  uploads: z.number(),
  uploadedBytes: z.number(),
  failures: z.number(),
  /** Those that are not in the store, at most 100. */
  notUploaded: z.array(
    z.object({
      what: z.enum(['sandbox', 'snapshot']),
      id: z.string(),
      state: z.enum(['pending', 'failed']),
      /** Of the last failure. Empty: there was none. */
      reason: z.string(),
    }),
  ),
});

export type StorageReport = z.infer<typeof storageReportSchema>;

export const notUploadedMax = 100;

/** The file with the report. */
export const storageReportIn = (dataDirectory: string): string => join(dataDirectory, 'run', 'storage.json');
