import { z } from 'zod';

/** The archive in a parcel of the runner. */
export const aboutParcelSchema = z.object({
  /** Where it is unpacked: in the data folder, in its folder `runtime`, or in the folder of the templates. */
  into: z.enum(['.', 'runtime', 'templates']),
  /** By zstd. */
  compresses: z.boolean(),
  /** Present: the content is not an archive of tar, but has each file at a known place (`flat.ts`). Bytes of its head. */
  headBytes: z
    .number()
    .int()
    .positive()
    .max(16 * 1024 * 1024)
    .optional(),
});
export type AboutParcel = z.infer<typeof aboutParcelSchema>;

/** Kinds of the parcels that records of the runner need. All others belong to somebody else. */
export const unitKinds = ['disks', 'layers', 'runtimes', 'states', 'templates'] as const;

/** The record of a paused sandbox or of a snapshot. It is written after everything that it needs. */
export const storedRecordSchema = z.object({
  format: z.literal(1),
  what: z.enum(['sandbox', 'snapshot']),
  id: z.string().regex(/^[a-z0-9]{1,64}$/),
  stateId: z.string(),
  savedAtMs: z.number(),
  /** The text of its file in the data folder. */
  text: z.string(),
  parcels: z.array(z.string()).max(1000),
});
export type StoredRecord = z.infer<typeof storedRecordSchema>;

/** The object with small files of the data folder that the records need. */
export const serverFilesName = 'files';
export const serverFilesSchema = z.object({
  format: z.literal(1),
  /** CPU features of the host: saved memory can only be restored where they are the same. */
  cpuType: z.string(),
  files: z.record(z.string().regex(/^(?:[a-z0-9][A-Za-z0-9._-]*\/)?[a-z0-9][A-Za-z0-9._-]*$/), z.string()),
});
export type ServerFiles = z.infer<typeof serverFilesSchema>;

/** What the control plane uploads: `control/GENERATION`, and how many bytes of the content each of its files has. */
export const aboutControlSchema = z.object({
  format: z.literal(1),
  files: z
    .array(
      z.object({
        path: z.string().regex(/^[a-z0-9][A-Za-z0-9._-]*(?:\/[a-z0-9][A-Za-z0-9._-]*)?$/),
        sizeBytes: z.number().int().nonnegative(),
      }),
    )
    .max(1000),
});
export type AboutControl = z.infer<typeof aboutControlSchema>;

/** The file among those that lists the live blobs of the control plane (`packedBlobsSchema`), and the kind of their packs. */
export const blobListName = 'blobs.json';
export const blobsKind = 'blobs';

/** The kind of the packs with cached dependencies. */
export const dependenciesKind = 'dependencies';

/**
 * A file in a data folder that was recovered without cached dependencies. While it is there, the packs have what the
 * folder lacks, so the server fetches them before it makes them equal to its folder.
 */
export const dependenciesMark = 'dependencies-in-store';
