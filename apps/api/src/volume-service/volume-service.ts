import type { Readable } from 'node:stream';
import { z } from 'zod';

/** The service is trusted no more than a tenant. */
export const volumeStorageSchema = z.object({
  state: z.enum(['starting', 'working', 'idle', 'waiting', 'away', 'refused']),
  reason: z.string().max(10_000),
  wanted: z.number(),
  uploaded: z.number(),
  uploads: z.number(),
  uploadedBytes: z.number(),
  failures: z.number(),
  behind: z
    .array(
      z.object({
        id: z.string().max(100),
        /** How old the first change is that is not in the store. */
        seconds: z.number(),
        /** Of blocks that are not in the store. */
        bytes: z.number(),
        /** When the copy in the store was made. 0: there is none. */
        storedAtMs: z.number(),
        /** Of the last failure. */
        reason: z.string().max(10_000),
      }),
    )
    .max(1000),
});
export type VolumeStorage = z.infer<typeof volumeStorageSchema>;
/** The answer of the service. */
export const storageAnswerSchema = z.object({ figures: volumeStorageSchema.optional() });

/** The answer of the service to a question for what a volume has. */
export const usageAnswerSchema = z.object({
  bytes: z.int().nonnegative(),
  inodes: z.int().nonnegative(),
});

/** Which volume a call is about. */
export interface VolumePlace {
  readonly teamId: string;
  readonly groupId: string;
  readonly volumeId: string;
}

export interface VolumeCall extends VolumePlace {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Empty: the volume itself. */
  readonly what: '' | 'dir' | 'path' | 'file' | 'rename' | 'copy' | 'usage';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it comes. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** Ends the call, also while its answer is read. */
  readonly signal: AbortSignal;
}

export interface VolumeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Must be read or destroyed. */
  readonly body: Readable;
}

/** The process that has the contents of volumes (docs/decisions/066-volume-service.md). */
export interface VolumeService {
  /**
   * Throws the error of the service, such as `file_not_found` or `disk_full`, and `volumes_unavailable` if it does not
   * answer.
   */
  call(call: VolumeCall): Promise<VolumeAnswer>;
  /** What the object store has of the volumes. Undefined: there is no store. */
  storage(signal: AbortSignal): Promise<VolumeStorage | undefined>;
}
