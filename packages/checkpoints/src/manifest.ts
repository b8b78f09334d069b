import { z } from 'zod';
import { blockSealForm } from '@soulbox/keyring/blocks';
import { isPartName } from './names.ts';

/**
 * The form of files with readable content: layers, digests of disks, and manifests of versions that did not encrypt
 * checkpoints.
 */
export const manifestFormat = 1;
/** An encrypted checkpoint. A manifest of a format that is neither is refused with `state_incompatible`. */
export const sealedFormat = 2;

const sizeSchema = z.number().int().nonnegative();
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
/**
 * SHA-256 of each block in hexadecimal, in order. In sparse files the empty string stands for a block that is a hole.
 */
const digestsSchema = z.array(sha256Schema.or(z.literal('')));

/** In an encrypted checkpoint, nonce and tag of each block take the place of its digest. */
const partSchema = z.object({
  sizeBytes: sizeSchema,
  digests: z.array(sha256Schema.or(z.string().regex(blockSealForm))),
});

export const fileDigestsSchema = z.object({ sizeBytes: sizeSchema, digests: digestsSchema });

/**
 * The disk of a paused sandbox, which stays in the sandbox's folder. Its digests are in the caller's record, not in the
 * manifest, because the disk stops changing only after the checkpoint is sealed. `blocks` has the blocks with data, by
 * number: most of a disk is a hole. A disk with too much data to be read before a resume is identified by its sizes and
 * its `stamp`, which the host's file system changes with every write to the file. Its digests are written later to a
 * file beside it.
 */
export const diskDigestsSchema = z.discriminatedUnion('checked', [
  z.object({ checked: z.literal('content'), sizeBytes: sizeSchema, blocks: z.record(z.string(), sha256Schema) }),
  z.object({
    checked: z.literal('stamp'),
    sizeBytes: sizeSchema,
    allocatedBytes: sizeSchema,
    /** Its inode, and the times of the last change of its content and of its inode, in nanoseconds. */
    stamp: z.string(),
  }),
]);

/** The sealed file beside a large disk: the digests of the disk with this stamp. */
export const backgroundDigestsSchema = z.object({
  format: z.literal(manifestFormat),
  blockBytes: z.number().int().positive(),
  stamp: z.string(),
  blocks: z.record(z.string(), sha256Schema),
});

const factsSchema = z.object({
  createdAtMs: z.number().int(),
  /**
   * The driver that saved it, and the version of the tool that the driver used, for instance `container` and `criu
   * 4.2.1`.
   */
  driver: z.string(),
  driverVersion: z.string(),
  /** False: only files, no memory was saved. */
  hasMemory: z.boolean(),
  /** Digest of the CPU features that programs may depend on. A checkpoint can be restored only where it is the same. */
  cpuType: z.string(),
  templateId: z.string(),
  /** Name of the folder of the envd bundle, whose programs are mapped into the saved memory. */
  runtimeName: z.string(),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** Layers, topmost first. Empty for a paused sandbox whose disk stayed in its own folder. */
  layers: z.array(z.string()),
  /** Data of the runner, which gets it back with the checkpoint. Only the runner knows its form. */
  tenant: z.unknown(),
});

export const manifestSchema = z.object({
  format: z.literal([manifestFormat, sealedFormat]),
  /** The checkpoint's id, under its name in manifests on disk. */
  stateId: z.string(),
  facts: factsSchema,
  blockBytes: z.number().int().positive(),
  /** The plain files in the checkpoint's folder, by name. */
  parts: z.record(z.string().refine(isPartName), partSchema),
  /**
   * Parts that are not files now, but compressed blobs of this size. Those of an encrypted checkpoint are encrypted after
   * their compression, with a nonce and a tag for each block.
   */
  packed: z.record(z.string(), z.object({ sizeBytes: sizeSchema, seals: z.array(z.string()).optional() })),
});

export type FileDigests = z.infer<typeof fileDigestsSchema>;
export type DiskDigests = z.infer<typeof diskDigestsSchema>;
/** A disk that is identified by its stamp. */
export type StampedDisk = Extract<DiskDigests, { readonly checked: 'stamp' }>;
export type CheckpointFacts = z.infer<typeof factsSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
