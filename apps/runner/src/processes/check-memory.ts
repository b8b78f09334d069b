import { access } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { BlockDigests, Driver, SavedMemory } from '@soulbox/isolation';
import type { Checkpoint } from '@soulbox/checkpoints';
import { readCpuType } from '../host/cpu-type.ts';
import type { ArrivingCheckpoint } from '../stored/stored-copies.ts';
import { getDriver, bundleDirectoryOf } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';

/** A checkpoint, and the sandbox that is to be restored from it. */
export interface CheckpointUse {
  readonly checkpointId: string;
  /** Frozen disks below, topmost first. */
  readonly layers: readonly string[];
  readonly driver: string;
  /** Version of its envd. */
  readonly runtimeName: string;
  /** What its first start from an object store asked for (`SnapshotRecord`). */
  readonly firstBlocks?: readonly string[] | undefined;
  /** Whether the checkpoint must be encrypted. Absent: an older version made it. */
  readonly isEncrypted?: boolean | undefined;
}

/**
 * Saved memory whose restore may begin while its pages are still being checked. Dispose it when no restore from it is in
 * progress; what a lazy restore still reads is elsewhere.
 */
export interface CheckedMemory extends SavedMemory, AsyncDisposable {
  /**
   * Resolves when all pages are there and match their digests. Nothing of the sandbox may run before. Rejects with
   * `state_damaged`.
   */
  readonly pagesChecked: Promise<void>;
  /** Present: parts of it still arrive from the object store. See `ArrivingCheckpoint`. */
  readonly whole?: Promise<void>;
  readonly asked?: () => readonly string[];
}

/** Smaller memory is read completely in less time than a lazy reader takes to start (docs/decisions/010). */
const lateFromBytes = 64 * 2 ** 20;
/** The same for memory that still has to be fetched. */
const arrivingFromBytes = 8 * 2 ** 20;

const lateMaxShare = 0.75;

/**
 * Copies share one check. A lazy reader for each of many copies would cost more than it saves, so a single `copy` is lazy
 * only while its memory is being fetched, and several that are made together never.
 */
type MemoryOwner = 'itself' | 'copy' | 'copies';

export interface MemoryRestore {
  readonly owner: MemoryOwner;
  /** The sandbox whose lock is held meanwhile. Empty: none. */
  readonly sandboxId: string;
  /** Whether it must not wait for others (`MemoryNeed`). */
  readonly isUrgent?: boolean;
}

/**
 * Checks a checkpoint before its restore. Nothing is started from one that is incomplete, altered or made for another
 * host. Its pages may be checked while everything else is prepared. The driver checks the pages of a lazy restore.
 * Throws `state_damaged`, `state_incompatible`, `disk_full` when it must be unpacked first, and `sandbox_resume_failed`
 * when the host's memory has no room.
 */
export async function checkMemory(
  host: SandboxHost,
  use: CheckpointUse,
  restore: MemoryRestore,
): Promise<CheckedMemory> {
  const driver = getDriver(host, use.driver);
  const fetching = Promise.all([checkLayers(host, use.layers), host.stored.runtime(use.runtimeName)]);
  fetching.catch(() => undefined);
  host.checkpoints.expectReads();
  await using held = new AsyncDisposableStack();
  const arriving = await findLate(host, driver, use, restore);
  if (arriving !== undefined) held.use(arriving);
  const checkpoint =
    arriving?.checkpoint ??
    (await host.checkpoints.unpack(use.checkpointId, (bytes) => host.disks.admit(bytes, 'Unpacking the saved memory')));
  if (use.isEncrypted === true && checkpoint.key === undefined)
    throw new SoulBoxError(
      'state_damaged',
      `Checkpoint "${use.checkpointId}" was encrypted, but is readable. Nothing was started from it. It is kept for inspection.`,
    );
  await fetching;
  await checkFit(host, checkpoint, use);
  const memory = held.use(await memoryOf(host, use.driver, checkpoint, restore, arriving));
  if (arriving !== undefined) driver.wantFirstBlocks(memory);
  const kept = held.move();
  return { ...memory, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}

/** The checkpoint if its restore can begin although only the object store has its memory. */
async function findLate(
  { stored }: SandboxHost,
  driver: Driver,
  { checkpointId, firstBlocks }: CheckpointUse,
  { owner }: MemoryRestore,
): Promise<ArrivingCheckpoint | undefined> {
  const arriving = owner === 'copies' ? undefined : await stored.late(checkpointId, firstBlocks);
  if (arriving === undefined) return undefined;
  using unused = new DisposableStack();
  unused.use(arriving);
  if (!canComeLate(driver, arriving.checkpoint, arrivingFromBytes)) return undefined;
  driver.expectLateRestore();
  unused.move();
  return arriving;
}

/**
 * The memory of a checkpoint, decrypted and checked. Memory of the host is reserved for its clear copy until disposed.
 * Throws `sandbox_resume_failed`.
 */
export async function memoryOf(
  host: Pick<SandboxHost, 'drivers' | 'memory'>,
  driverName: string,
  checkpoint: Checkpoint,
  { owner, sandboxId, isUrgent = false }: MemoryRestore,
  arriving?: ArrivingCheckpoint,
): Promise<CheckedMemory> {
  const driver = getDriver(host, driverName);
  const isLate = arriving !== undefined || (owner === 'itself' && canComeLate(driver, checkpoint, lateFromBytes));
  const kinds = {
    isMemory: (partName: string) => driver.isMemoryPart(partName),
    isLate: (partName: string) => isLate && driver.isMemoryPart(partName),
  };
  const need = { what: 'Restoring saved memory', reason: 'sandbox_resume_failed', sandboxId, isUrgent } as const;
  using held = new DisposableStack();
  held.use(await host.memory.admit({ ...need, bytes: clearBytesOf(checkpoint, kinds.isLate) }));
  const clear = await checkpoint.reveal(kinds, { isShared: owner !== 'itself' && !isLate });
  arriving?.keep();
  const kept = held.move();
  return {
    ...clear,
    digests: withArrival(clear.digests, arriving),
    ...(arriving !== undefined && { whole: arriving.whole, asked: () => arriving.asked() }),
    async [Symbol.asyncDispose]() {
      using _kept = kept;
      await clear[Symbol.asyncDispose]();
    },
  };
}

/** Bytes of the clear copy that a restore reads. A lazy restore decrypts most of a part elsewhere. */
function clearBytesOf({ key, manifest: { parts } }: Checkpoint, isLate: (partName: string) => boolean): number {
  if (key === undefined) return 0;
  const copied = Object.entries(parts).filter(([partName]) => !isLate(partName));
  return copied.reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0);
}

function withArrival(digests: BlockDigests, arriving: ArrivingCheckpoint | undefined): BlockDigests {
  return arriving === undefined ? digests : { ...digests, arriving: arriving.blocks };
}

/** Whether the restore is lazy, so that the checkpoint must stay while the sandbox runs. */
export function comesLate({ digests }: SavedMemory): boolean {
  return Object.keys(digests.parts).length > 0;
}

/** Checks layers, each once in the life of the server. Throws `state_damaged`. */
export async function checkLayers(host: SandboxHost, layers: readonly string[]): Promise<void> {
  await Promise.all(layers.map(async (layerId) => await host.checkpoints.verifyLayer(layerId)));
}

async function checkFit(host: SandboxHost, { checkpointId, manifest }: Checkpoint, use: CheckpointUse): Promise<void> {
  const { driver, cpuType } = manifest.facts;
  const refuse = (what: string): never => {
    throw new SoulBoxError('state_incompatible', `Checkpoint "${checkpointId}" ${what}`);
  };
  if (driver !== use.driver) refuse(`was saved by the isolation "${driver}", not "${use.driver}".`);
  if (cpuType !== (await readCpuType())) refuse('was saved on a host whose CPU has different features.');
  try {
    await access(bundleDirectoryOf(host, use.runtimeName));
  } catch {
    refuse('needs a version of envd that this host no longer has.');
  }
}

/**
 * Processes do not share lazily restored pages. Each gets its own, and a child that is forked meanwhile gets the pages
 * again that its parent still lacks. A quarter of the sandbox's memory must be free for that.
 */
function canComeLate(driver: Driver, checkpoint: Checkpoint, fromBytes: number): boolean {
  if (!driver.capabilities.lazyRestore || checkpoint.isPacked) return false;
  const { parts, facts } = checkpoint.manifest;
  const pages = Object.entries(parts).filter(([partName]) => driver.isMemoryPart(partName));
  const pageBytes = pages.reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0);
  return pageBytes >= fromBytes && pageBytes <= facts.memoryMb * 2 ** 20 * lateMaxShare;
}
