import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { createLocks, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { tenantSchema, volumeSchema } from './record.ts';
import { inFile, isAnythingAside, readRecordFile, setAside } from './record-files.ts';
import type { RecordSeal } from './record-seal.ts';
import { syncDirectory } from './sync-directory.ts';

const snapshotForm = /^[a-z0-9]{1,64}$/;

/** More is what a program does later, not how it starts. */
const firstBlocksMax = 256;
const firstBlockForm = /^[A-Za-z0-9._-]{1,255}:\d{1,7}$/;

/** The source of copies: a checkpoint, the layers under it, and the properties of the sandbox. */
export const copySourceSchema = z.object({
  stateId: z.string(),
  hasMemory: z.boolean(),
  /** A checkpoint that was encrypted must not be replaced by a readable one. Absent: an older version made it. */
  isEncrypted: z.boolean().optional(),
  /** Topmost first. */
  layers: z.array(z.string()),
  driver: z.string(),
  templateId: z.string(),
  runtimeName: z.string(),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** What the source had mounted. A copy gets the same volumes, as they are then. */
  volumes: z.array(volumeSchema).default([]),
  /** They are copies from the moment of the snapshot, so each sandbox needs its own. Absent: they are shared. */
  ownVolumes: z.boolean().optional(),
  /**
   * Blocks of its saved memory that the first start from an object store asked for, in that order, as `PART:INDEX`. Absent:
   * there was none.
   */
  firstBlocks: z.array(z.string().regex(firstBlockForm)).max(firstBlocksMax).optional(),
  /** The tenant of the source. Its tokens are never given to a copy, and a snapshot does not contain them. */
  tenant: tenantSchema,
});

export type CopySource = z.infer<typeof copySourceSchema>;

export const snapshotSchema = copySourceSchema.extend({
  formatVersion: z.literal(2),
  snapshotId: z.string().regex(snapshotForm),
  /** Id of the sandbox that it was made from. */
  sandboxId: z.string(),
  createdAtMs: z.number(),
  /** Size on the host's disk, including shared layers. */
  sizeBytes: z.number(),
  /**
   * Variables of a template build, for builds that start from it. No sandbox sees them. Absent: it is not from a build.
   */
  variables: z.record(z.string(), z.string()).optional(),
});

export type SnapshotRecord = z.infer<typeof snapshotSchema>;

/** The snapshots of one host: `<directory>/<snapshotId>.json`. Encrypted, because they contain a tenant's variables. */
export interface SnapshotStore {
  list(): readonly SnapshotRecord[];
  /** Whether any was set aside because it could not be read. */
  hasSetAside(): Promise<boolean>;
  /** Throws `snapshot_not_found`. */
  get(snapshotId: string): SnapshotRecord;
  has(snapshotId: string): boolean;
  /** Throws `bad_request` for a malformed id and `name_taken` for an existing one. */
  checkFree(snapshotId: string): void;
  /** The snapshot is on the disk when this resolves. Replaces a snapshot with the same id. */
  write(snapshot: SnapshotRecord): Promise<void>;
  /** Notes `firstBlocks`, at most 256 of them, unless the snapshot has some, or is gone. */
  noteFirstBlocks(snapshotId: string, blocks: readonly string[]): Promise<void>;
  /** The text of its file. */
  textOf(snapshot: SnapshotRecord): Promise<string>;
  /** False when there was none. */
  remove(snapshotId: string): Promise<boolean>;
}

/** Stands for a token, so that copies get one. */
const tokenStandIn = 'not kept';

/** A snapshot outlives its source, and is in backups. It must not contain what opens the source. */
function withoutTokens(snapshot: SnapshotRecord): SnapshotRecord {
  const { envdAccessToken, trafficAccessToken } = snapshot.tenant;
  const tokens = {
    envdAccessToken: envdAccessToken === '' ? '' : tokenStandIn,
    trafficAccessToken: trafficAccessToken === '' ? '' : tokenStandIn,
  };
  const { authority: _, ...tenant } = snapshot.tenant;
  return { ...snapshot, tenant: { ...tenant, ...tokens } };
}

/**
 * Reads all snapshots. Encrypts those of older versions, and removes tokens that they stored. An unreadable snapshot is set aside and logged. Throws `config_invalid` for one of a newer version.
 */
export async function openSnapshotStore(directory: string, logger: Logger, seal: RecordSeal): Promise<SnapshotStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fileOf = (snapshotId: string): string => join(directory, `${snapshotId}.json`);
  const snapshots = new Map<string, SnapshotRecord>();
  const textOf = async (snapshot: SnapshotRecord): Promise<string> =>
    await seal.textOf('snapshot', snapshot.snapshotId, inFile(snapshot));
  // By id. A note must not bring a snapshot back that is being removed or replaced.
  const locks = createLocks();
  const writeAlone = async (given: SnapshotRecord): Promise<void> => {
    const snapshot = withoutTokens(given);
    await writeFileAtomic(fileOf(snapshot.snapshotId), await textOf(snapshot), { durable: true });
    await syncDirectory(directory);
    snapshots.set(snapshot.snapshotId, snapshot);
  };
  const write = async (given: SnapshotRecord): Promise<void> =>
    await locks.alone(given.snapshotId, async () => await writeAlone(given));
  const renew = async (snapshot: SnapshotRecord, isSealed: boolean): Promise<void> => {
    const { envdAccessToken, trafficAccessToken } = snapshot.tenant;
    const tokens = [envdAccessToken, trafficAccessToken];
    if (!isSealed || tokens.some((token) => token !== '' && token !== tokenStandIn)) await write(snapshot);
  };
  for (const name of await readdir(directory)) {
    if (name.endsWith('.tmp')) await rm(join(directory, name), { force: true });
    if (!name.endsWith('.json')) continue;
    const id = name.slice(0, -'.json'.length);
    const found = await readRecordFile(join(directory, name), snapshotSchema, { kind: 'snapshot', id }, seal);
    if (found !== undefined) {
      snapshots.set(found.record.snapshotId, found.record);
      await renew(found.record, found.isSealed).catch((err: unknown) => {
        logger.warn(
          { err, file: name },
          'a snapshot of an older version could not be encrypted; the next start tries again',
        );
      });
    } else
      logger.error(
        { file: name, folder: await setAside(directory, [name]) },
        'snapshot is unreadable; it is set aside',
      );
  }
  return {
    list: () => [...snapshots.values()],
    hasSetAside: async () => await isAnythingAside(directory),
    has: (snapshotId) => snapshots.has(snapshotId),
    get(snapshotId) {
      const snapshot = snapshots.get(snapshotId);
      if (snapshot !== undefined) return snapshot;
      throw new SoulBoxError('snapshot_not_found', `Snapshot "${snapshotId.slice(0, 64)}" was not found.`);
    },
    checkFree(snapshotId) {
      if (!snapshotForm.test(snapshotId)) {
        throw new SoulBoxError('bad_request', 'A snapshot id must have 1 to 64 characters of a-z and 0-9.');
      }
      if (snapshots.has(snapshotId)) {
        throw new SoulBoxError('name_taken', `Snapshot "${snapshotId}" already exists.`);
      }
    },
    write,
    textOf,
    async noteFirstBlocks(snapshotId, blocks) {
      await locks.alone(snapshotId, async () => {
        const snapshot = snapshots.get(snapshotId);
        if (snapshot === undefined || snapshot.firstBlocks !== undefined) return;
        const firstBlocks = blocks.filter((block) => firstBlockForm.test(block)).slice(0, firstBlocksMax);
        await writeAlone({ ...snapshot, firstBlocks });
      });
    },
    async remove(snapshotId) {
      if (!snapshots.has(snapshotId)) return false;
      return await locks.alone(snapshotId, async () => {
        if (!snapshots.delete(snapshotId)) return false;
        await rm(fileOf(snapshotId), { force: true });
        return true;
      });
    },
  };
}
