import { z } from 'zod';
import { isPartName } from './names.ts';

/** A manifest of another version is refused: `state_incompatible`. */
export const manifestFormat = 1;

const sizeSchema = z.number().int().nonnegative();
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
/** SHA-256 of each block in hexadecimal, in order. In sparse files the empty string stands for a block that is a hole. */
const digestsSchema = z.array(sha256Schema.or(z.literal('')));

export const fileDigestsSchema = z.object({ sizeBytes: sizeSchema, digests: digestsSchema });

/**
 * The disk of a paused sandbox, which stays in the sandbox's folder: its digest is in no manifest but in the caller's record,
 * because the disk is at rest only when the checkpoint is sealed already. `blocks` has the blocks that hold something, by number:
 * most of a disk is a hole. A disk that holds more than may be read before a resume is known by its sizes and by its `stamp`,
 * which the host's file system changes with every write to the file; its digests follow in a file beside it.
 */
export const diskDigestsSchema = z.discriminatedUnion('checked', [
  z.object({ checked: z.literal('content'), sizeBytes: sizeSchema, blocks: z.record(z.string(), sha256Schema) }),
  z.object({
    checked: z.literal('stamp'),
    sizeBytes: sizeSchema,
    allocatedBytes: sizeSchema,
    /** Its inode, and when it and its contents were last changed, in nanoseconds. */
    stamp: z.string(),
  }),
]);

/** What stands beside a large disk, sealed: the digests of the disk that has this stamp. */
export const backgroundDigestsSchema = z.object({
  format: z.literal(manifestFormat),
  blockBytes: z.number().int().positive(),
  stamp: z.string(),
  blocks: z.record(z.string(), sha256Schema),
});

const factsSchema = z.object({
  createdAtMs: z.number().int(),
  /** The driver that saved it and the version of what it used, for instance `container` and `criu 4.2.1`. */
  driver: z.string(),
  driverVersion: z.string(),
  /** False: files only; no memory was saved. */
  hasMemory: z.boolean(),
  /** Digest of the CPU features that programs may have adapted to; a checkpoint goes on only where it is the same. */
  cpuType: z.string(),
  templateId: z.string(),
  /** Name of the folder of the envd bundle: its programs are mapped into the saved memory. */
  runtimeName: z.string(),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** Frozen disks, topmost first. Empty for a paused sandbox whose disk stayed in its own folder. */
  layers: z.array(z.string()),
  /** What the runner wants back with it; only it knows the form. */
  tenant: z.unknown(),
});

export const manifestSchema = z.object({
  format: z.literal(manifestFormat),
  /** The checkpoint's id, under the name that manifests on disk have for it. */
  stateId: z.string(),
  facts: factsSchema,
  blockBytes: z.number().int().positive(),
  /** By name: the plain files of the checkpoint's folder. */
  parts: z.record(z.string().refine(isPartName), fileDigestsSchema),
  /** Those of them that are no files now but compressed blobs of this size. */
  packed: z.record(z.string(), z.object({ sizeBytes: sizeSchema })),
});

export type FileDigests = z.infer<typeof fileDigestsSchema>;
export type DiskDigests = z.infer<typeof diskDigestsSchema>;
/** A disk that is known by its stamp. */
export type StampedDisk = Extract<DiskDigests, { readonly checked: 'stamp' }>;
export type CheckpointFacts = z.infer<typeof factsSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
