import { z } from 'zod';

/** A manifest of another version is refused: `state_incompatible`. */
export const manifestFormat = 1;

const factsSchema = z.object({
  createdAtMs: z.number().int(),
  /** The driver that saved it and the version of what it used, for instance `container` and `criu 4.2.1`. */
  driver: z.string(),
  driverVersion: z.string(),
  /** False: files only; no memory was saved. */
  hasMemory: z.boolean(),
  /** Digest of the CPU features that programs may have adapted to; a state goes on only where it is the same. */
  cpuType: z.string(),
  templateId: z.string(),
  /** Name of the envd runtime's folder: its programs are mapped into the saved memory. */
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
  stateId: z.string(),
  facts: factsSchema,
  blockBytes: z.number().int(),
  /** By name; digests are SHA-256 in hexadecimal, one for each block. */
  parts: z.record(z.string(), z.object({ sizeBytes: z.number().int(), digests: z.array(z.string()) })),
});

export type StateFacts = z.infer<typeof factsSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
