import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';

/** The version of the file. A reader refuses other versions. */
export const exportVersion = 1;

/** Bytes that one digest covers. The same as in checkpoints and layers, so an export needs no digests of its own. */
export const exportBlockBytes = 1024 * 1024;

/** About 200 GiB of data, or a million runs of blocks. The manifest is read as a whole. */
export const manifestMaxBytes = 16 * 1024 * 1024;

/** CRIU makes some 10 files, and 4 for each process. */
const maxParts = 20_000;
/** Each layer costs the overlay a look-up, and SoulBox merges chains long before. */
const maxLayers = 64;
/** 1 TiB: the digests of a larger layer would need hundreds of megabytes, even if it is a hole. */
const maxDiskMb = 1_048_576;
const maxMemoryMb = 1_048_576;
const mib = 1024 * 1024;

const sizeSchema = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const digestForm = /^[0-9a-f]{64}$/;
const idSchema = z.string().regex(/^[a-z0-9]{1,64}$/);
/** Without control characters: programs show these texts on terminals. */
const plainForm = /^[^\p{C}]*$/u;
const word = z.string().max(256).regex(plainForm);

/** A file without its holes. */
const partSchema = z.strictObject({
  /** `layer`: a disk image, topmost first. `memory`: a file of the saved memory. */
  kind: z.enum(['layer', 'memory']),
  /** A plain name: no reader makes a path of anything else. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
    .refine((name) => name !== 'manifest.json'),
  sizeBytes: sizeSchema,
  /** Runs of blocks with data, in order: the number of the first block, and the SHA-256 of each. The rest are zeros. */
  data: z.custom<[number, string[]][]>(isData),
});

const manifestSchema = z.strictObject({
  version: z.literal(exportVersion),
  blockBytes: z.literal(exportBlockBytes),
  exportedAt: z.iso.datetime(),
  source: z.strictObject({
    kind: z.enum(['sandbox', 'snapshot']),
    /** Ids at the server that made the file. */
    id: idSchema,
    sandboxId: idSchema,
    createdAt: z.iso.datetime(),
  }),
  sandbox: z.strictObject({
    isolation: word,
    cpuCount: z.number().int().min(1).max(64),
    memoryMb: z.number().int().min(1).max(maxMemoryMb),
    diskMb: z.number().int().min(1).max(maxDiskMb),
  }),
  /** The template below the layers, which is not in the file. `source` says what it was made from. */
  template: z.strictObject({ id: word, names: z.array(word).max(64), source: z.string().max(1000).regex(plainForm) }),
  /** Where the memory can be restored. Absent: files only. */
  memory: z
    .strictObject({ driverVersion: word, cpuType: word, envd: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/) })
    .optional(),
  /** Settings of the sandbox. Only the runner knows their form. */
  settings: z.unknown(),
  /** Settings that are not in the file, because they are secrets of the team. */
  leftOut: z.array(word).max(16),
  parts: z.array(partSchema).max(maxParts),
});

export type ExportManifest = z.infer<typeof manifestSchema>;
export type ExportPart = z.infer<typeof partSchema>;

/** Stops at the first fault. A schema of zod would collect one for each of the millions that a manifest can have. */
function isData(value: unknown): boolean {
  return Array.isArray(value) && value.every(isRun);
}

function isRun(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [first, digests] = value as [unknown, unknown];
  return Number.isSafeInteger(first) && (first as number) >= 0 && isDigests(digests);
}

function isDigests(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && digestForm.test(item))
  );
}

export function unusable(fault: string, cause?: unknown): SoulBoxError {
  return new SoulBoxError('export_unusable', `The export file cannot be used: ${fault}.`, { cause });
}

/** Parses the text of a manifest, and checks that everything in it is bounded. Throws `export_unusable`. */
export function parseManifest(bytes: Uint8Array): ExportManifest {
  const manifest = readSchema(bytes);
  const names = new Set(manifest.parts.map(({ kind, name }) => `${kind}/${name}`));
  if (names.size !== manifest.parts.length) throw unusable('two of its parts have the same name');
  const isSorted = manifest.parts.every(
    ({ kind }, at) => kind === 'memory' || manifest.parts[at - 1]?.kind !== 'memory',
  );
  if (!isSorted) throw unusable('its parts are not in order');
  const layers = manifest.parts.filter(({ kind }) => kind === 'layer').length;
  if (layers === 0 || layers > maxLayers) throw unusable(`it has ${layers} layers`);
  for (const part of manifest.parts) checkPart(part, manifest);
  const memoryBytes = sumOf(manifest.parts.filter(({ kind }) => kind === 'memory'));
  if (memoryBytes > 0 && manifest.memory === undefined) throw unusable('it has memory without a description');
  // Images of a checkpoint are a little larger than the memory.
  if (memoryBytes > (2 * manifest.sandbox.memoryMb + 256) * mib) throw unusable('its memory is too large');
  return manifest;
}

function readSchema(bytes: Uint8Array): ExportManifest {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw unusable('its manifest is not JSON', error);
  }
  const parsed = manifestSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unusable(`its manifest is wrong at ${(issue?.path ?? []).slice(0, 6).join('.').slice(0, 200)}`, parsed.error);
}

function checkPart({ kind, name, sizeBytes, data }: ExportPart, { sandbox }: ExportManifest): void {
  // The image of a disk has the tables of its file system, too.
  if (kind === 'layer' && sizeBytes > (2 * sandbox.diskMb + 256) * mib)
    throw unusable(`${name} is larger than the disk`);
  const blocks = Math.ceil(sizeBytes / exportBlockBytes);
  let next = 0;
  for (const [first, digests] of data) {
    if (first < next || first + digests.length > blocks) throw unusable(`${name} has blocks that do not fit`);
    // A file of the memory is written from start to end.
    if (kind === 'memory' && first > next) throw unusable(`${name} has holes`);
    next = first + digests.length;
  }
  if (kind === 'memory' && next !== blocks) throw unusable(`${name} has holes`);
}

/** Where each block of data belongs, in the order of the file. */
export interface BlockPlace {
  /** Index of the part. */
  readonly part: number;
  readonly offset: number;
  readonly length: number;
  readonly digest: string;
}

export function* placesOf({ parts }: Pick<ExportManifest, 'parts'>): Generator<BlockPlace> {
  for (const [part, { sizeBytes, data }] of parts.entries())
    for (const [first, digests] of data)
      for (const [at, digest] of digests.entries()) {
        const offset = (first + at) * exportBlockBytes;
        yield { part, offset, length: Math.min(exportBlockBytes, sizeBytes - offset), digest };
      }
}

/** Bytes of all blocks of data. */
export function dataBytesOf(manifest: Pick<ExportManifest, 'parts'>): number {
  let bytes = 0;
  for (const { length } of placesOf(manifest)) bytes += length;
  return bytes;
}

function sumOf(parts: readonly ExportPart[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The digest of each block of a part. The empty text is a hole. */
export function digestsFromRuns({ sizeBytes, data }: Pick<ExportPart, 'sizeBytes' | 'data'>): string[] {
  const digests = new Array<string>(Math.ceil(sizeBytes / exportBlockBytes)).fill('');
  for (const [first, run] of data) for (const [at, digest] of run.entries()) digests[first + at] = digest;
  return digests;
}

/** Turns the digest of each block, where an empty text is a hole, into runs. */
export function runsFromDigests(digests: readonly string[]): ExportPart['data'] {
  const runs: ExportPart['data'] = [];
  for (const [at, digest] of digests.entries()) {
    if (digest === '') continue;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1].length === at) last[1].push(digest);
    else runs.push([at, [digest]]);
  }
  return runs;
}
